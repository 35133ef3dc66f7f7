"""Text in a picture: how much of the frame it takes, whether it stays inside the safe area, whether it can be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.scorer.inference.network import Floats, Image
from services.scorer.vision.ocr import TextLine

_SIDE_PX: Final = 512
_VERTICAL_RATIO_MAX: Final = 0.65
"""Width over height up to which a picture is a full-screen vertical one (9:16 is 0.5625, 2:3 is 0.667)."""
_CONTRAST_LARGE: Final = 3.0
_CONTRAST_SMALL: Final = 4.5
_LARGE_PX: Final = 24.0
"""Least contrast of large and of small text, and what is large, in CSS pixels. Source: WCAG 2.2, success criterion
1.4.3 (level AA)."""
_SCREEN_PX: Final = 360.0
_HEIGHT_MIN_PX: Final = 11.0
"""A phone's screen is taken as 360 CSS pixels wide, filled by the picture; 11 points is the least size of text in
Apple's Human Interface Guidelines (typography)."""
_LUMINANCE: Final = np.array([0.2126, 0.7152, 0.0722])

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SafeArea:
    """Margins that each side keeps free of text and of what matters, as shares of height or width.

    ``format`` names why.
    """

    format: str
    top: float
    bottom: float
    side: float


VERTICAL: Final = SafeArea("vertical", top=0.14, bottom=0.20, side=0.06)
"""Meta's advice for ads in stories: 14 % at the top (profile) and 20 % at the bottom (call to action); 6 % at the
sides is its advice for reels, which asks for 35 % at the bottom."""
OTHERWISE: Final = SafeArea("frame", top=0.05, bottom=0.05, side=0.05)
"""The graphics safe area of EBU R 95: 5 % of the picture on each side."""


def safe_area(width: int, height: int) -> SafeArea:
    """Return the safe area of a format."""
    return VERTICAL if width / height <= _VERTICAL_RATIO_MAX else OTHERWISE


def inside(area: SafeArea, height: int, width: int) -> Mask:
    """Return the safe area as ``(height, width) bool``."""
    safe = np.zeros((height, width), bool)
    top, bottom, side = round(area.top * height), round(area.bottom * height), round(area.side * width)
    safe[top : height - bottom, side : width - side] = True
    return safe


def covered(lines: Sequence[TextLine], height: int, width: int) -> Mask:
    """Return where lines of text stand, as ``(h, w) bool`` at reduced size."""
    scale = min(1.0, _SIDE_PX / max(height, width))
    mask = np.zeros((max(1, round(height * scale)), max(1, round(width * scale))), np.uint8)
    for line in lines:
        cv2.fillConvexPoly(mask, (line.corners * scale).round().astype(np.int32), (1,))
    return mask.astype(bool)


@dataclass(frozen=True, slots=True)
class Legibility:
    """``margin`` is the weaker of contrast and height over its limit, so below 1 fails.

    ``contrast`` is the ratio of relative luminances, 1..21; ``height_px`` the line's height on a phone, CSS pixels.
    """

    margin: float
    contrast: float
    height_px: float


def legibility(rgb: Image, line: TextLine) -> Legibility:
    """Measure one line of ``(H, W, 3) uint8 RGB``.

    Text is told from its ground by Otsu's threshold inside the line's upright box; each side counts by its median.
    """
    height_px = line_height(line.corners) * _SCREEN_PX / rgb.shape[1]
    contrast = _contrast(_box(rgb, line.corners))
    wanted = _CONTRAST_LARGE if height_px >= _LARGE_PX else _CONTRAST_SMALL
    return Legibility(min(contrast / wanted, height_px / _HEIGHT_MIN_PX), contrast, height_px)


def line_height(corners: Floats) -> float:
    """Return the shorter side of a line's box, in pixels."""
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1)
    return float(min(sides[0], sides[1]))


def _box(rgb: Image, corners: Floats) -> Image:
    low = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, None)
    high = np.ceil(corners.max(axis=0)).astype(int)
    return rgb[low[1] : high[1], low[0] : high[0]]


def _contrast(box: Image) -> float:
    if box.size == 0:
        return 1.0
    grey = cv2.cvtColor(box, cv2.COLOR_RGB2GRAY)
    _, bright = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    light, dark = bright.astype(bool), ~bright.astype(bool)
    if not light.any() or not dark.any():
        return 1.0
    high, low = (_relative_luminance(np.median(box[side], axis=0)) for side in (light, dark))
    return (max(high, low) + 0.05) / (min(high, low) + 0.05)


def _relative_luminance(rgb: NDArray[np.floating]) -> float:
    value = rgb / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return float(linear @ _LUMINANCE)
