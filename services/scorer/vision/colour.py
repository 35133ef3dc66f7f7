"""Colours as people see them apart: CIE L*a*b* and the CIEDE2000 distance."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]

_25_TO_7: Final = 25.0**7
_HALF_TURN_SLACK: Final = 1e-9


def lab_of(rgb: NDArray[np.uint8]) -> Floats:
    """Return CIE L*a*b* (D65; L* 0..100) of ``(H, W, 3) uint8 sRGB``."""
    return cv2.cvtColor(rgb.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB).astype(np.float64)


def ciede2000(colour: Floats, other: Floats) -> Floats:
    """Return the colour difference of L*a*b* values on the last axis; 1 is just noticeable, 0..100 and more.

    Source: Sharma, Wu and Dalal 2005, with all three weights 1.
    """
    (l1, a1, b1), (l2, a2, b2) = (np.moveaxis(np.asarray(lab, np.float64), -1, 0) for lab in (colour, other))
    chroma = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    stretch = 1 + 0.5 * (1 - np.sqrt(chroma**7 / (chroma**7 + _25_TO_7)))
    a1, a2 = a1 * stretch, a2 * stretch
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    grey = c1 * c2 == 0
    turn = np.where(grey, 0.0, _turn(h1, h2))
    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    mean_h = np.where(grey, h1 + h2, (h1 + turn / 2) % 360)
    t = (
        1
        - 0.17 * np.cos(np.radians(mean_h - 30))
        + 0.24 * np.cos(np.radians(2 * mean_h))
        + 0.32 * np.cos(np.radians(3 * mean_h + 6))
        - 0.20 * np.cos(np.radians(4 * mean_h - 63))
    )
    s_l = 1 + 0.015 * (mean_l - 50) ** 2 / np.sqrt(20 + (mean_l - 50) ** 2)
    s_c, s_h = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t
    rotation = -2 * np.sqrt(mean_c**7 / (mean_c**7 + _25_TO_7))
    rotation = rotation * np.sin(np.radians(60 * np.exp(-(((mean_h - 275) / 25) ** 2))))
    d_l, d_c = (l2 - l1) / s_l, (c2 - c1) / s_c
    d_h = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / s_h
    return np.asarray(np.sqrt(d_l**2 + d_c**2 + d_h**2 + rotation * d_c * d_h))


def _turn(start: Floats, end: Floats) -> Floats:
    """Return the shorter way around, in degrees; half a turn keeps its sign, as the mean hue depends on it."""
    plain = end - start
    over = np.abs(plain) > 180 + _HALF_TURN_SLACK
    return np.asarray(np.where(over, plain - 360 * np.sign(plain), plain))
