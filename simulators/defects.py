"""The defects a simulated provider can put into a picture, and the dimension each is meant to fail.

Severities lie well beyond the thresholds a quality gate starts from, so that a missed defect is the gate's
fault and no matter of taste. The thresholds: sharpness by Laplacian over Tenengrad < 0.015, 8-grid blockiness
> 1.6, flat noise > 6, eye aspect ratio < 0.15.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import cv2
import numpy as np

from simulators.photos import scenery
from simulators.photos.assets import Picture
from simulators.photos.studio import Pose, Studio, Subject, draw_pose, grain

_BOTH: Final = frozenset({Subject.headshot, Subject.product})
_OPAQUE: Final = _BOTH | {Subject.ad_creative}
_AD: Final = frozenset({Subject.ad_creative})
_CUT_OUT: Final = frozenset({Subject.cut_out})
_HEADSHOT: Final = frozenset({Subject.headshot})
_PRODUCT: Final = frozenset({Subject.product})


class Defect(StrEnum):
    """A known fault of a served picture."""

    blur = "blur"
    upscaled = "upscaled"
    jpeg_blocks = "jpeg_blocks"
    noise = "noise"
    underexposed = "underexposed"
    overexposed = "overexposed"
    low_resolution = "low_resolution"
    truncated = "truncated"
    near_duplicate = "near_duplicate"
    closed_eyes = "closed_eyes"
    two_faces = "two_faces"
    cropped_face = "cropped_face"
    tiny_face = "tiny_face"
    wrong_subject = "wrong_subject"
    no_subject = "no_subject"
    busy_background = "busy_background"
    garbled_copy = "garbled_copy"
    copy_at_edge = "copy_at_edge"
    faint_copy = "faint_copy"
    wrong_colour = "wrong_colour"
    torn_cut_out = "torn_cut_out"
    opaque_cut_out = "opaque_cut_out"


@dataclass(frozen=True, slots=True)
class DefectCard:
    """Card of a defect.

    ``dimensions`` names, by subject, the dimensions of which at least one must fail; the first is the
    one the defect is made for. ``weight`` is its share among randomly drawn defects.
    """

    dimensions: dict[Subject, tuple[str, ...]]
    weight: int

    def applies_to(self, subject: Subject) -> bool:
        """Return whether the defect makes sense for this subject."""
        return subject in self.dimensions


def _card(weight: int, subjects: frozenset[Subject], *dimensions: str) -> DefectCard:
    return DefectCard(dict.fromkeys(sorted(subjects), dimensions), weight)


CARDS: Final[dict[Defect, DefectCard]] = {
    Defect.blur: _card(3, _OPAQUE, "sharpness"),
    Defect.upscaled: _card(2, _BOTH, "sharpness", "resolution"),
    Defect.jpeg_blocks: _card(2, _OPAQUE, "blockiness"),
    Defect.noise: _card(2, _OPAQUE, "noise"),
    Defect.underexposed: _card(2, _BOTH, "exposure"),
    # A face burnt out altogether is no longer found, so its exposure cannot be judged.
    Defect.overexposed: DefectCard(
        {Subject.headshot: ("exposure", "face_count"), Subject.product: ("exposure",)}, 2
    ),
    Defect.low_resolution: _card(1, frozenset(Subject), "resolution"),
    Defect.truncated: _card(1, frozenset(Subject), "decodable"),
    # Only meaningful beside the picture it repeats, so it is never drawn, only asked for.
    Defect.near_duplicate: _card(0, _OPAQUE, "near_duplicate"),
    Defect.closed_eyes: _card(3, _HEADSHOT, "eyes_open"),
    Defect.two_faces: _card(2, _HEADSHOT, "face_count"),
    Defect.cropped_face: _card(2, _HEADSHOT, "face_framing", "face_count"),
    Defect.tiny_face: _card(1, _HEADSHOT, "face_framing", "face_count"),
    Defect.wrong_subject: DefectCard({Subject.headshot: ("face_count",), Subject.product: ("isolation",)}, 2),
    Defect.no_subject: DefectCard({Subject.headshot: ("face_count",), Subject.product: ("isolation",)}, 1),
    Defect.busy_background: _card(3, _PRODUCT, "isolation"),
    Defect.garbled_copy: _card(4, _AD, "copy_distance"),
    Defect.copy_at_edge: _card(2, _AD, "text_safe_zone"),
    # Lettering too faint to be judged is often not read either.
    Defect.faint_copy: _card(2, _AD, "text_legibility", "copy_distance"),
    Defect.wrong_colour: _card(2, _AD, "brand_colour"),
    Defect.torn_cut_out: _card(3, _CUT_OUT, "alpha_holes"),
    Defect.opaque_cut_out: _card(2, _CUT_OUT, "alpha_edges"),
}


def draw_defect(rng: np.random.Generator, subject: Subject, rate: float) -> Defect | None:
    """Draw a defect with probability ``rate`` (0..1), by weight among those that fit the subject."""
    if rng.random() >= rate:
        return None
    fitting = [(defect, card.weight) for defect, card in CARDS.items() if card.applies_to(subject)]
    weights = np.array([weight for _, weight in fitting], np.float64)
    return fitting[int(rng.choice(len(fitting), p=weights / weights.sum()))][0]


def compose(
    studio: Studio,
    subject: Subject,
    size: tuple[int, int],
    defect: Defect | None,
    rng: np.random.Generator,
) -> Picture:
    """Take the picture of a subject, with the defect (if any) that lies in what the picture shows."""
    pose = draw_pose(rng, subject)
    match defect:
        case Defect.closed_eyes:
            poses: tuple[Pose, ...] = (replace(pose, eyes_closed=True),)
        case Defect.two_faces:
            poses = _pair(pose, rng)
        case Defect.cropped_face:
            poses = (_cut_off(pose, rng),)
        case Defect.tiny_face:
            poses = (replace(pose, share=rng.uniform(0.05, 0.07), x=rng.uniform(0.3, 0.7), y=0.8),)
        case Defect.no_subject:
            poses = ()
        case Defect.wrong_subject:
            return _another_subject(studio, subject, size, rng)
        case Defect.busy_background:
            background = scenery.cluttered(rng, size)
            return studio.finished(studio.staged((pose,), subject, background, rng), rng)
        case _:
            poses = (pose,)
    if subject is Subject.cut_out and defect is not Defect.opaque_cut_out:
        return studio.cut_out(pose, size, rng)
    return studio.picture(subject, poses, size, rng)


def apply_defect(picture: Picture, defect: Defect | None, rng: np.random.Generator) -> Picture:
    """Return the finished picture with the defect (if any) that lies in its pixels."""
    spoiler = _APPLIERS.get(defect) if defect else None
    return picture if spoiler is None else spoiler(picture, rng)


def _pair(pose: Pose, rng: np.random.Generator) -> tuple[Pose, ...]:
    share = rng.uniform(0.19, 0.24)
    left = replace(pose, share=share, x=rng.uniform(0.24, 0.28), y=0.42)
    right = replace(pose, share=share * rng.uniform(0.92, 1.05), x=rng.uniform(0.72, 0.77), y=0.42)
    return (left, replace(right, mirrored=not pose.mirrored))


def _cut_off(pose: Pose, rng: np.random.Generator) -> Pose:
    """Move the face over the frame's edge: half of it at the side, or all above the eyes at the top."""
    share = max(pose.share, 0.3)
    if rng.random() < 0.4:
        return replace(pose, share=share, y=share * rng.uniform(0.16, 0.26))
    inside = share * rng.uniform(0.0, 0.12)
    return replace(pose, share=share, x=inside if rng.random() < 0.5 else 1 - inside)


def _another_subject(
    studio: Studio, subject: Subject, size: tuple[int, int], rng: np.random.Generator
) -> Picture:
    if subject is Subject.product:
        picture = scenery.scene(rng, str(rng.choice(["motorcycle", "gravel", "grass"])), size)
    elif rng.random() < 0.6:
        picture = scenery.scene(rng, str(rng.choice(["chelsea", "flower"])), size)
    else:
        return studio.picture(Subject.product, (draw_pose(rng, Subject.product),), size, rng)
    return studio.finished(picture, rng)


def _blurred(picture: Picture, rng: np.random.Generator) -> Picture:
    # At 1024 px; twice what a gate that first halves the picture can still tell from sharp.
    sigma = rng.uniform(5.0, 8.0) * min(picture.shape[:2]) / 1024
    return cv2.GaussianBlur(picture, (0, 0), max(2.0, sigma)).astype(np.uint8, copy=False)


def _upscaled(picture: Picture, rng: np.random.Generator) -> Picture:
    height, width = picture.shape[:2]
    factor = rng.uniform(6, 9)
    small = cv2.resize(picture, (int(width / factor), int(height / factor)), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.uint8, copy=False)


def _blocky(picture: Picture, rng: np.random.Generator) -> Picture:
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(5, 12))])
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    return np.asarray(decoded, np.uint8)


def _noisy(picture: Picture, rng: np.random.Generator) -> Picture:
    return grain(picture, float(rng.integers(26, 40)), rng)


def _underexposed(picture: Picture, rng: np.random.Generator) -> Picture:
    return _exposed(picture, rng.uniform(-6.5, -5.0))


def _overexposed(picture: Picture, rng: np.random.Generator) -> Picture:
    return _exposed(picture, rng.uniform(3.5, 4.5))


def _exposed(picture: Picture, stops: float) -> Picture:
    """Change the exposure by ``stops`` of light (display gamma 2.2); what gets too bright clips."""
    gain = 2 ** (stops / 2.2)
    table = np.clip(np.arange(256) * gain, 0, 255).astype(np.uint8)
    return cv2.LUT(picture, table).astype(np.uint8, copy=False)


def _low_resolution(picture: Picture, rng: np.random.Generator) -> Picture:
    height, width = picture.shape[:2]
    factor = rng.uniform(4, 5)
    size = (int(width / factor), int(height / factor))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _repeated(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return the same picture, a shade lighter or darker and cropped by a hair."""
    height, width = picture.shape[:2]
    margin = max(1, int(0.006 * min(height, width)))
    cropped = cv2.resize(picture[margin:-margin, margin:-margin], (width, height))
    return _exposed(cropped.astype(np.uint8, copy=False), rng.uniform(-0.25, 0.15))


def _torn(picture: Picture, rng: np.random.Generator) -> Picture:
    """Take small pieces out of the subject, as a matting network does with reflections."""
    torn = picture.copy()
    rows, columns = np.nonzero(torn[..., 3] > 250)
    radius = max(2, min(torn.shape[:2]) // 90)
    for place in rng.integers(0, max(1, rows.size), 24):
        if rows.size:
            centre = int(columns[place]), int(rows[place])
            torn[..., 3] = cv2.circle(torn[..., 3].copy(), centre, radius, 0, -1, cv2.LINE_AA)
    return torn


_APPLIERS: Final[dict[Defect, Callable[[Picture, np.random.Generator], Picture]]] = {
    Defect.blur: _blurred,
    Defect.upscaled: _upscaled,
    Defect.jpeg_blocks: _blocky,
    Defect.noise: _noisy,
    Defect.underexposed: _underexposed,
    Defect.overexposed: _overexposed,
    Defect.low_resolution: _low_resolution,
    Defect.near_duplicate: _repeated,
    Defect.torn_cut_out: _torn,
}
