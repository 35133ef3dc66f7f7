"""Composition of a subject in its frame and on its ground: room around it, cut edges, the ground's tone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.scorer.vision.colour import ciede2000, lab_of
from services.scorer.vision.shadow import Shadow, cast_shadow

RGB = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_WHITE_LAB: Final = np.array([100.0, 0.0, 0.0])
_AWAY_SHARE: Final = 0.06
_GROUND_MIN: Final = 64


@dataclass(frozen=True, slots=True)
class Composition:
    """Shares are of the frame's side or border, 0..1; colours CIE L*a*b*; distances CIEDE2000.

    ``margin_share`` is the least room between subject and border, over that side's length. ``cut_share`` is
    the part of the border that the subject covers. ``ground_spread`` is the 95th percentile distance of
    ground pixels from their median colour; ``ground_to_white`` is that median's distance from white.
    """

    margin_share: float
    cut_share: float
    ground_spread: float
    ground_to_white: float
    ground_hex: str
    shadow: Shadow


def measure_composition(rgb: RGB, subject: Mask) -> Composition | None:
    """Measure ``(H, W, 3) uint8 RGB`` with its subject ``(h, w) bool`` at reduced size; None without any ground."""
    height, width = subject.shape
    small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    rows, columns = np.flatnonzero(subject.any(axis=1)), np.flatnonzero(subject.any(axis=0))
    margin = min(
        rows[0] / height,
        (height - 1 - rows[-1]) / height,
        columns[0] / width,
        (width - 1 - columns[-1]) / width,
    )
    border = np.concatenate([subject[0], subject[-1], subject[1:-1, 0], subject[1:-1, -1]])
    away = ~_grown(subject, _AWAY_SHARE)
    if int(away.sum()) < _GROUND_MIN:
        return None
    lab = lab_of(small)
    median = np.median(lab[away], axis=0)
    red, green, blue = np.median(small[away], axis=0).astype(int)
    return Composition(
        margin_share=float(margin),
        cut_share=float(border.mean()),
        ground_spread=float(np.percentile(ciede2000(lab[away], median), 95)),
        ground_to_white=float(ciede2000(median, _WHITE_LAB)),
        ground_hex=f"#{red:02x}{green:02x}{blue:02x}",
        shadow=cast_shadow(lab, subject, away),
    )


def _grown(subject: Mask, share: float) -> Mask:
    radius = max(1, round(share * min(subject.shape)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(subject.astype(np.uint8), kernel).astype(bool)
