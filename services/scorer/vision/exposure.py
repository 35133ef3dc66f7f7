"""Exposure of a region, and of a whole frame without the white ground it may have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.scorer.vision.sampling import row_step

Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_DARK: Final = 5
_BRIGHT: Final = 250
_HIGHLIGHT_MIN: Final = 104.0
_HIGHLIGHT_POWER: Final = 5
"""Steepness at which a frame's reading falls with its highlights. The limit stays where it is.

Without it a clean picture of a
dusk would read nearer to the limit than a picture whose sky and half of its ground are burnt out."""
_OPENING: Final = np.ones((5, 5), np.uint8)
_RING_SHARE_MIN: Final = 0.85
_GROUND_SHARE_MAX: Final = 0.97


@dataclass(frozen=True, slots=True)
class Exposure:
    """Exposure of a region; ``overrun`` is how far its worst limit is overrun: 1 is at the limit.

    ``highlight`` is the 98th percentile of luminance (0..255), ``dark_share`` and ``bright_share`` the shares of
    clipped pixels. No limit lies on the mean: night scenes and dark skin are legitimately dark.
    """

    overrun: float
    highlight: float
    mean: float
    dark_share: float
    bright_share: float


def exposure(
    grey: Grey,
    *,
    bright_share_max: float,
    dark_share_max: float,
    mask: Mask | None = None,
    peak: Grey | None = None,
    small: Grey | None = None,
) -> Exposure:
    """Measure exposure of ``(H, W) uint8``, or of the pixels where ``mask`` is true.

    ``peak`` is the largest channel; where given, clipping is counted on it, so that a coloured subject whose
    strongest channel clips is seen. ``small`` is a small copy of a whole frame; where given, a white ground found
    there does not count as clipped.
    """
    values = grey if mask is None else grey[mask][None]
    counts = cv2.calcHist([values[:: row_step(2 * values.shape[0])]], [0], None, [256], [0, 256]).reshape(-1)
    total = max(1.0, float(counts.sum()))
    highlight = float(np.searchsorted(np.cumsum(counts) / total, 0.98))
    dark = float(counts[: _DARK + 1].sum()) / total
    bright = float(counts[_BRIGHT:].sum()) / total
    if peak is not None:
        brightest = peak if mask is None else peak[mask]
        bright = np.count_nonzero(brightest >= _BRIGHT) / max(1, brightest.size)
    mean = float(counts @ np.arange(256, dtype=np.float32)) / total
    return exposure_from((highlight, mean, dark, bright), bright_share_max, dark_share_max, small)


def exposure_from(
    tones: tuple[float, float, float, float],
    bright_share_max: float,
    dark_share_max: float,
    small: Grey | None = None,
) -> Exposure:
    """Judge by highlight, mean, and the shares of dark and of bright pixels."""
    highlight, mean, dark, bright = tones
    if small is not None and bright > bright_share_max / 2:
        ground = white_ground_share(small)
        bright = max(0.0, bright - ground) / (1 - ground)
    under = (_HIGHLIGHT_MIN / max(highlight, 1.0)) ** _HIGHLIGHT_POWER
    overrun = max(under, bright / bright_share_max, dark / dark_share_max)
    return Exposure(overrun, highlight, mean, dark, bright)


def white_ground_share(small: Grey) -> float:
    """Return the share of a white ground that surrounds what is shown; 0 where white does not go nearly all around.

    White patches that do not reach the border belong to the subject. Photographs over by 3 stops are white
    along at most 0.79 of their border, and the white of texture is too broken up to count.
    """
    white = cv2.morphologyEx((small >= _BRIGHT).astype(np.uint8), cv2.MORPH_OPEN, _OPENING)
    _, labels = cv2.connectedComponents(white)
    ring = np.concatenate([labels[0], labels[-1], labels[1:-1, 0], labels[1:-1, -1]])
    if np.count_nonzero(ring) < _RING_SHARE_MIN * ring.size:
        return 0.0
    surrounds = np.unique(ring[ring > 0])
    share = np.count_nonzero(np.isin(labels, surrounds)) / labels.size
    # Nearly all white is no ground of anything.
    return float(share) if share < _GROUND_SHARE_MAX else 0.0
