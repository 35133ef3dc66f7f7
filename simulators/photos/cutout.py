"""Subjects cut out of the base photographs, enlarged once, ready to be composited.

The result is kept in memory only.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from simulators.photos.assets import Matte, Picture, photograph
from simulators.photos.outlines import Outline, stored

#: Base photographs are 400 to 512 px high; enlarged so that a 1024 px picture needs little more.
ENLARGEMENT = 3
#: Texture given to an enlarged subject, in grey levels (standard deviation): interpolation leaves
#: nothing above a third of the highest frequency, where a camera would record skin and cloth.
TEXTURE_SIGMA = 7.0


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
    return _cut("astronaut", stored("portrait"), focus=(176, 58, 96, 120))


def cup_cutout() -> Cutout:
    """Cut the cup, its saucer and its spoon out of the coffee photograph."""
    return _cut("coffee", stored("cup"), focus=(76, 16, 405, 374))


def enlarge(picture: Picture, factor: float) -> Picture:
    """Enlarge a photograph and give it back the acutance that interpolation takes away."""
    height, width = picture.shape[:2]
    size = (round(width * factor), round(height * factor))
    large = cv2.resize(picture, size, interpolation=cv2.INTER_LANCZOS4)
    for sigma, amount in ((2.4, 1.1), (1.1, 1.3)):
        soft = cv2.GaussianBlur(large, (0, 0), sigma)
        large = cv2.addWeighted(large, 1 + amount, soft, -amount, 0)
    return large.astype(np.uint8, copy=False)


def _cut(name: str, inside: Outline, *, focus: tuple[float, float, float, float]) -> Cutout:
    clean = _without_fringe(photograph(name), inside)
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


def _without_fringe(picture: Picture, inside: Outline) -> Picture:
    """Replace the outline's colours by the subject's own, so that no halo of the old background stays."""
    core = cv2.erode(inside, np.ones((3, 3), np.uint8)).astype(np.float32)
    weight = cv2.GaussianBlur(core, (0, 0), 3) + 1e-4
    spread = cv2.GaussianBlur(picture.astype(np.float32) * core[..., None], (0, 0), 3)
    filled = spread / weight[..., None]
    mixed = picture * core[..., None] + filled * (1 - core[..., None])
    return np.clip(mixed, 0, 255).astype(np.uint8)
