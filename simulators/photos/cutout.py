"""Subjects cut out of the base photographs, enlarged once, ready to be composited.

The outlines were drawn by hand around the two photographs in use; GrabCut (Rother et al., 2004) refines
them. The result is kept in memory only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from simulators.photos.assets import Matte, Picture, photograph

#: Base photographs are 400 to 512 px high; enlarged so that a 1024 px picture needs little more.
ENLARGEMENT = 3
#: Texture given to an enlarged subject, in grey levels (standard deviation): interpolation leaves
#: nothing above a third of the highest frequency, where a camera would record skin and cloth.
TEXTURE_SIGMA = 7.0

_Labels: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Cutout:
    """A subject without its background.

    ``picture`` and ``matte`` have the same height and width. ``focus`` is the box the composition is arranged
    around (x, y, width, height in px of ``picture``). It is the face of a portrait, the whole object of a
    product.
    """

    picture: Picture
    matte: Matte
    focus: tuple[float, float, float, float]


def portrait_cutout() -> Cutout:
    """Cut the person out of the astronaut portrait; ``focus`` is the face from chin to hair line."""
    picture = photograph("astronaut")
    labels = np.full(picture.shape[:2], cv2.GC_PR_BGD, np.uint8)
    _fill(
        labels,
        [
            (110, 210),
            (150, 150),
            (300, 150),
            (320, 240),
            (365, 300),
            (370, 350),
            (500, 350),
            (512, 512),
            (20, 512),
            (20, 400),
            (60, 260),
        ],
        cv2.GC_PR_FGD,
    )
    _ellipse(labels, (227, 92), (76, 80), cv2.GC_PR_FGD)
    _ellipse(labels, (226, 95), (55, 62), cv2.GC_FGD)
    _fill(
        labels,
        [
            (150, 205),
            (265, 205),
            (300, 270),
            (330, 300),
            (340, 345),
            (340, 512),
            (60, 512),
            (80, 300),
            (130, 240),
        ],
        cv2.GC_FGD,
    )
    _ellipse(labels, (390, 460), (95, 95), cv2.GC_FGD)
    for rows, columns in (
        (slice(0, 150), slice(0, 120)),
        (slice(0, 140), slice(0, 140)),
        (slice(0, 8), slice(0, 512)),
        (slice(0, 380), slice(0, 20)),
        (slice(380, 512), slice(0, 24)),
        (slice(0, 300), slice(345, 512)),
        (slice(0, 200), slice(320, 512)),
        (slice(300, 340), slice(375, 512)),
        (slice(330, 420), slice(492, 512)),
    ):
        labels[rows, columns] = cv2.GC_BGD
    return _cut(picture, labels, rounds=3, focus=(176, 58, 96, 120))


def cup_cutout() -> Cutout:
    """Cut the cup, its saucer and its spoon out of the coffee photograph."""
    picture = photograph("coffee")
    labels = np.full(picture.shape[:2], cv2.GC_BGD, np.uint8)
    _ellipse(labels, (278, 228), (206, 166), cv2.GC_PR_FGD, angle=8)
    _ellipse(labels, (290, 110), (122, 96), cv2.GC_PR_FGD)
    _ellipse(labels, (278, 230), (188, 145), cv2.GC_FGD, angle=8)
    _ellipse(labels, (290, 105), (108, 78), cv2.GC_FGD)
    cv2.line(labels, (410, 72), (398, 150), cv2.GC_PR_FGD, 34)
    cv2.line(labels, (411, 76), (398, 150), cv2.GC_FGD, 12)
    return _cut(picture, labels, rounds=2, focus=(76, 16, 405, 374))


def enlarge(picture: Picture, factor: float) -> Picture:
    """Enlarge a photograph and give it back the acutance that interpolation takes away."""
    height, width = picture.shape[:2]
    size = (round(width * factor), round(height * factor))
    large = cv2.resize(picture, size, interpolation=cv2.INTER_LANCZOS4)
    for sigma, amount in ((2.4, 1.1), (1.1, 1.3)):
        soft = cv2.GaussianBlur(large, (0, 0), sigma)
        large = cv2.addWeighted(large, 1 + amount, soft, -amount, 0)
    return large.astype(np.uint8, copy=False)


def _cut(
    picture: Picture, labels: _Labels, *, rounds: int, focus: tuple[float, float, float, float]
) -> Cutout:
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(1)
    cv2.grabCut(picture, labels, (0, 0, 1, 1), background, foreground, rounds, cv2.GC_INIT_WITH_MASK)
    inside = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.uint8)
    inside = _largest_part(inside)
    clean = _without_fringe(picture, inside)
    large = _textured(enlarge(clean, ENLARGEMENT))
    height, width = large.shape[:2]
    hard = cv2.resize(inside.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    soft = cv2.GaussianBlur(hard, (0, 0), ENLARGEMENT * 0.7)
    # The steeper ramp pulls the edge inwards, off the pixels that still carry the old background.
    matte = np.clip((soft - 0.45) / 0.5, 0, 1).astype(np.float32)
    x, y, w, h = (value * ENLARGEMENT for value in focus)
    return Cutout(large, matte, (x, y, w, h))


def _textured(picture: Picture) -> Picture:
    noise = np.random.default_rng(2).standard_normal(picture.shape[:2]).astype(np.float32)
    texture = (noise * TEXTURE_SIGMA)[..., None]
    return np.clip(picture + texture, 0, 255).astype(np.uint8)


def _largest_part(inside: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    _, parts, stats, _ = cv2.connectedComponentsWithStats(inside)
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    return np.asarray(parts == largest, np.uint8)


def _without_fringe(picture: Picture, inside: npt.NDArray[np.uint8]) -> Picture:
    """Replace the outline's colours by the subject's own, so that no halo of the old background stays."""
    core = cv2.erode(inside, np.ones((3, 3), np.uint8)).astype(np.float32)
    weight = cv2.GaussianBlur(core, (0, 0), 3) + 1e-4
    spread = cv2.GaussianBlur(picture.astype(np.float32) * core[..., None], (0, 0), 3)
    filled = spread / weight[..., None]
    mixed = picture * core[..., None] + filled * (1 - core[..., None])
    return np.clip(mixed, 0, 255).astype(np.uint8)


def _fill(labels: _Labels, points: list[tuple[int, int]], label: int) -> None:
    cv2.fillPoly(labels, [np.array(points, np.int32)], (label,))


def _ellipse(
    labels: _Labels, centre: tuple[int, int], axes: tuple[int, int], label: int, angle: float = 0
) -> None:
    cv2.ellipse(labels, centre, axes, angle, 0, 360, (label,), -1)
