"""Measures on tones: whether there is a picture at all, and whether slow gradients broke into bands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.scorer.vision.classic import direction_energies, small_copy

Grey = NDArray[np.uint8]

RANGE_AT_LIMIT: Final = 14.0
"""Grey levels between the darkest and brightest hundredth of a small copy. Clean photographs at least 77; one colour
with noise of sigma 8 at most 4."""
COARSE_AT_LIMIT: Final = 0.8
"""Fine over coarse structure of a small copy. Clean photographs at least 2.1, also at JPEG quality 60 or with noise;
blurred by a sigma of 1.5 % of the long side median 0.23, by 2 % median 0.14 and at most 0.5."""
_ROUNDING_SECOND: Final = 0.5
_ROUNDING_FIRST: Final = 0.04

_WINDOW: Final = 16
_WITHIN: Final = np.arange(_WINDOW + 1)[:, None]
_LINES: Final = 32
_SLOPE_MIN: Final = 6
_SLOPE_MAX: Final = 28
_MONOTONE_MAX: Final = 1.5
_SLOPES_SHARE_MIN: Final = 0.02
_SLOPES_MIN: Final = 64


@dataclass(frozen=True, slots=True)
class Content:
    """Content of a small copy; ``margin`` is the weaker of both parts over its limit, so below 1 fails.

    ``tonal_range`` is in grey levels, ``coarse_detail`` a ratio as in sharpness, ``kind`` one of ``picture``,
    ``one_colour`` and ``blurred_out``.
    """

    margin: float
    tonal_range: float
    coarse_detail: float
    kind: str


@dataclass(frozen=True, slots=True)
class Banding:
    """Share of a slow slope that lies in one step: ``step_share`` is the median over all slow slopes, 0..1.

    ``slopes_share`` of the windows looked at were such slopes; below 2 %, or 64, nothing is said and
    ``step_share`` is 0.
    """

    step_share: float
    slopes_share: float


def content(grey: Grey) -> Content:
    """Return the content of ``(H, W) uint8``: blank, black and wholly blurred pictures are told apart."""
    grey = small_copy(grey)
    cumulative = np.cumsum(cv2.calcHist([grey], [0], None, [256], [0, 256]).reshape(-1))
    low, high = np.searchsorted(cumulative, (0.01 * grey.size, 0.99 * grey.size))
    tonal_range = float(high - low)
    energies = direction_energies(grey)
    first = sum(energy for energy, _ in energies) / len(energies)
    second = sum(two for _, two in energies) / len(energies)
    # Rounding to whole grey levels alone gives structure to a surface that has none.
    coarse = max(0.0, second - _ROUNDING_SECOND) / (first + _ROUNDING_FIRST)
    margins = {"one_colour": tonal_range / RANGE_AT_LIMIT, "blurred_out": coarse / COARSE_AT_LIMIT}
    worst = min(margins, key=lambda kind: margins[kind])
    kind = worst if margins[worst] < 1 else "picture"
    return Content(margins[worst], tonal_range, coarse, kind)


def banding(grey: Grey) -> Banding:
    """Measure banding of ``(H, W) uint8`` along evenly spread lines of both directions.

    A slow slope rises or falls by 6 to 28 levels over 16 pixels without turning back. A smooth slope spends
    about a third of that in its two steepest neighbouring steps, a banded slope most of it. Clean photographs
    and their JPEGs (quality 75 and better) read at most 0.57. Smooth photographs cut to 16 levels read at
    least 0.69, after JPEG 90 a median of 0.64.
    """
    shares, windows = [], 0
    for lines in (_lines(grey), _lines(grey.T)):
        ends = lines[:, ::_WINDOW].astype(np.int16)
        rise = np.abs(ends[:, 1:] - ends[:, :-1])
        windows += rise.size
        line, window = np.nonzero((rise >= _SLOPE_MIN) & (rise <= _SLOPE_MAX))
        rise = rise[line, window]
        starts = line * lines.shape[1] + _WINDOW * window
        # One window to a column: sums over windows then run along whole rows.
        pixels = lines.reshape(-1).take(starts + _WITHIN).astype(np.int16)
        path = np.abs(pixels[1:] - pixels[:-1]).sum(axis=0, dtype=np.int16)
        monotone = path <= _MONOTONE_MAX * rise
        pixels, rise = pixels[:, monotone], rise[monotone]
        two = np.abs(pixels[2:] - pixels[:-2]).max(axis=0)
        shares.append(np.minimum(two, rise) / rise)
    found = np.concatenate(shares)
    slopes_share = found.size / max(1, windows)
    if slopes_share < _SLOPES_SHARE_MIN or found.size < _SLOPES_MIN:
        return Banding(0.0, slopes_share)
    return Banding(float(np.median(found)), slopes_share)


def _lines(grey: Grey) -> Grey:
    return np.ascontiguousarray(grey[:: max(1, grey.shape[0] // _LINES)])
