"""Takes pictures: a subject, cut out of a real photograph, set before a background, lit and graded.

A picture is a pure function of its ``Pose``; all randomness comes from the generator that draws the pose.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache, lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from simulators.photos import scenery
from simulators.photos.assets import Matte, Picture
from simulators.photos.cutout import Cutout, cup_cutout, portrait_cutout
from simulators.photos.eyelids import FaceMesh, close_eyes

#: Film grain of every picture, in grey levels (standard deviation).
GRAIN_SIGMA = 2.6
_GRAIN_PX = 1536


class Subject(StrEnum):
    """Subject of a picture."""

    headshot = "headshot"
    product = "product"
    ad_creative = "ad_creative"
    cut_out = "cut_out"


@dataclass(frozen=True, slots=True)
class Pose:
    """Place of one subject in the frame.

    ``share`` is the width of the cutout's focus (face or product) over the frame's shorter side. ``x`` and
    ``y`` place the middle of the focus (0..1 of the frame). ``turn_deg`` is counter-clockwise.
    """

    share: float
    x: float
    y: float
    mirrored: bool
    turn_deg: float
    eyes_closed: bool = False


def draw_pose(rng: np.random.Generator, subject: Subject) -> Pose:
    """Draw a pose a photographer would accept."""
    mirrored = bool(rng.random() < 0.5)
    if subject is Subject.headshot:
        share = rng.uniform(0.24, 0.36)
        # The hair ends 1.07 face widths above the middle of the face; it stays inside the frame.
        height = share * 1.07 + rng.uniform(0.03, 0.17)
        return Pose(share, rng.uniform(0.36, 0.64), height, mirrored, rng.uniform(-7, 7))
    if subject is Subject.ad_creative:
        # One half of the height is left to the lettering.
        share, x = rng.uniform(0.28, 0.46), rng.uniform(0.34, 0.66)
        y = 0.66 if rng.random() < 0.5 else 0.34
        return Pose(share, x, y, mirrored, rng.uniform(-45, 45))
    share = rng.uniform(0.44, 0.70)
    # The whole object stays inside the frame, with a margin, however it is turned.
    reach = max(0.0, 0.45 - share * 0.56)
    x, y = 0.5 + rng.uniform(-reach, reach), 0.5 + rng.uniform(-reach, reach)
    return Pose(share, x, y, mirrored, rng.uniform(-45, 45))


class Studio:
    """Holds the prepared subjects; preparing them takes well under a second. Safe to share by threads."""

    def __init__(self) -> None:
        """Cut out both subjects and find the portrait's eyes.

        Raises:
            PhotographMissingError: a package that ships a base photograph is not installed.
        """
        self._portrait = portrait_cutout()
        self._cup = cup_cutout()
        landmarks = FaceMesh().points(self._portrait.picture, self._portrait.focus)
        self._asleep = replace(self._portrait, picture=close_eyes(self._portrait.picture, landmarks))
        self._suits = [self._portrait, *(_reclothed(self._portrait, hue) for hue in (14, 108))]
        self._cups = [self._cup, *(_rehued(self._cup, shift) for shift in (55, 110))]

    def picture(
        self,
        subject: Subject,
        poses: tuple[Pose, ...],
        size: tuple[int, int],
        rng: np.random.Generator,
    ) -> Picture:
        """Return ``(H, W, 3) uint8 BGR``: every pose's subject before one drawn background."""
        return self.finished(self.staged(poses, subject, self.background(subject, size, rng), rng), rng)

    def background(self, subject: Subject, size: tuple[int, int], rng: np.random.Generator) -> Picture:
        """Draw a background that suits the subject."""
        if subject is not Subject.headshot:
            return scenery.studio_wall(rng, size, plain=True)
        kind = rng.random()
        if kind < 0.45:
            return scenery.studio_wall(rng, size, plain=False)
        return scenery.bokeh(rng, size) if kind < 0.7 else scenery.out_of_focus(rng, size)

    def staged(
        self,
        poses: tuple[Pose, ...],
        subject: Subject,
        background: Picture,
        rng: np.random.Generator,
    ) -> Picture:
        """Set the posed subjects before a background."""
        picture = background
        for pose in poses:
            picture = _composited(
                self._cutout(subject, pose, rng), pose, picture, shadow=subject is not Subject.headshot
            )
        return picture

    def cut_out(self, pose: Pose, size: tuple[int, int], rng: np.random.Generator) -> Picture:
        """Return ``(H, W, 4) uint8 BGRA``, alpha straight: the posed product before nothing."""
        product = self._cutout(Subject.cut_out, pose, rng)
        front, matte = _posed(product, pose, size)
        alpha = (255 * np.clip(matte, 0, 1)).round().astype(np.uint8)
        return np.dstack([self.finished(front, rng), alpha])

    def finished(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Grade the picture (contrast, exposure, white balance) and lay grain over it."""
        gamma, contrast = rng.uniform(0.88, 1.14), rng.uniform(0.94, 1.06)
        ramp = np.arange(256, dtype=np.float32) / 255
        curve = np.clip((ramp**gamma - 0.5) * contrast + 0.5, 0, 1) * 255
        balance = 1 + rng.uniform(-0.035, 0.035, 3)
        table = np.clip(curve[:, None] * balance, 0, 255).astype(np.uint8)[None]
        graded = cv2.LUT(_lit(picture, rng), table)
        return _grained(graded.astype(np.uint8, copy=False), GRAIN_SIGMA, rng)

    def _cutout(self, subject: Subject, pose: Pose, rng: np.random.Generator) -> Cutout:
        dress = int(rng.integers(3))
        if subject is not Subject.headshot:
            return self._cups[dress]
        if pose.eyes_closed:
            return self._asleep
        return self._suits[dress]


def grain(picture: Picture, sigma: float, rng: np.random.Generator) -> Picture:
    """Return the picture with grey noise of ``sigma`` grey levels (standard deviation)."""
    return _grained(picture, sigma, rng)


def _composited(cutout: Cutout, pose: Pose, background: Picture, *, shadow: bool) -> Picture:
    front, matte = _posed(cutout, pose, (background.shape[1], background.shape[0]))
    if shadow:
        background = _shadowed(background, matte)
    return cv2.blendLinear(front, background, matte, 1 - matte).astype(np.uint8, copy=False)


def _posed(cutout: Cutout, pose: Pose, size: tuple[int, int]) -> tuple[Picture, Matte]:
    """Return the turned, scaled and placed subject with its matte, both of ``size`` (width, height)."""
    width, height = size
    x, y, focus_width, focus_height = cutout.focus
    scale = pose.share * min(width, height) / focus_width
    cosine, sine = (
        np.cos(np.deg2rad(pose.turn_deg)) * scale,
        np.sin(np.deg2rad(pose.turn_deg)) * scale,
    )
    flip = -1.0 if pose.mirrored else 1.0
    warp = np.array([[cosine * flip, sine, 0], [-sine * flip, cosine, 0]], np.float64)
    centre = np.array([x + focus_width / 2, y + focus_height / 2])
    warp[:, 2] = np.array([pose.x * width, pose.y * height]) - warp[:, :2] @ centre
    front = cv2.warpAffine(
        cutout.picture, warp, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    matte = cv2.warpAffine(cutout.matte, warp, size, flags=cv2.INTER_LINEAR)
    return front.astype(np.uint8, copy=False), matte.astype(np.float32, copy=False)


def _shadowed(background: Picture, matte: npt.NDArray[np.generic]) -> Picture:
    """Lay the subject's soft shadow on what is behind it, a little lower."""
    height, width = background.shape[:2]
    small = cv2.resize(np.asarray(matte, np.float32), (64, 64), interpolation=cv2.INTER_AREA)
    moved = cv2.warpAffine(small, np.array([[1, 0, 0], [0, 1, 2.5]], np.float32), (64, 64))
    cast = cv2.resize(cv2.GaussianBlur(moved, (0, 0), 2.5), (width, height))
    shade = (255 * (1 - 0.25 * cast)).astype(np.uint8)
    return cv2.multiply(background, cv2.merge([shade] * 3), scale=1 / 255).astype(np.uint8, copy=False)


def _lit(picture: Picture, rng: np.random.Generator) -> Picture:
    """Light the whole picture from one side, by up to a third of a stop more than from the other."""
    angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.0, 0.24)
    axis = np.linspace(-1, 1, 16, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    light = 1 - depth * (0.5 + 0.5 * (x * np.cos(angle) + y * np.sin(angle)) / np.sqrt(2))
    height, width = picture.shape[:2]
    field = cv2.resize((255 * light).astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.multiply(picture, cv2.merge([field] * 3), scale=1 / 255).astype(np.uint8, copy=False)


def _reclothed(cutout: Cutout, hue: int) -> Cutout:
    """Dye the orange suit; skin and hair keep their colour because the dye stops at the collar."""
    hsv = cv2.cvtColor(cutout.picture, cv2.COLOR_BGR2HSV)
    _, y, _, height = cutout.focus
    below = np.zeros(hsv.shape[:2], np.float32)
    below[int(y + height * 1.05) :] = 1
    orange = ((hsv[..., 0] < 14) & (hsv[..., 1] > 110)).astype(np.float32) * below
    share = cv2.GaussianBlur(orange, (0, 0), 1.5)[..., None]
    hsv[..., 0] = hue
    hsv[..., 1] = hsv[..., 1] // 2 if hue > 90 else hsv[..., 1] // 4
    dyed = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    depth = 0.55 if hue > 90 else 0.9
    return replace(cutout, picture=(cutout.picture * (1 - share) + dyed * (share * depth)).astype(np.uint8))


def _rehued(cutout: Cutout, shift: int) -> Cutout:
    hsv = cv2.cvtColor(cutout.picture, cv2.COLOR_BGR2HSV)
    red = ((hsv[..., 0] < 9) | (hsv[..., 0] > 172)) & (hsv[..., 1] > 130)
    hsv[..., 0] = np.where(red, (hsv[..., 0].astype(np.int32) + shift) % 180, hsv[..., 0])
    hsv[..., 1] = np.where(red, hsv[..., 1] // 4 * 3, hsv[..., 1])
    return replace(cutout, picture=cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR).astype(np.uint8, copy=False))


@cache
def _noise_field() -> npt.NDArray[np.float32]:
    return np.random.default_rng(1).standard_normal((_GRAIN_PX, _GRAIN_PX)).astype(np.float32)


@lru_cache(maxsize=2)
def _grain_tile(sigma: float) -> Picture:
    grey = np.clip(_noise_field() * sigma + 128, 0, 255).round().astype(np.uint8)
    return np.asarray(cv2.merge([grey] * 3), np.uint8)


def _grained(picture: Picture, sigma: float, rng: np.random.Generator) -> Picture:
    height, width = picture.shape[:2]
    tile = _grain_tile(round(sigma, 1))
    if height > _GRAIN_PX or width > _GRAIN_PX:
        repeats = (-(-height // _GRAIN_PX), -(-width // _GRAIN_PX), 1)
        tile = np.tile(tile, repeats)
    top = int(rng.integers(tile.shape[0] - height + 1))
    left = int(rng.integers(tile.shape[1] - width + 1))
    piece = tile[top : top + height, left : left + width]
    return cv2.addWeighted(picture, 1, piece, 1, -128).astype(np.uint8, copy=False)
