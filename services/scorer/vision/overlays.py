"""Overlays of a picture, or what is sent in its place: a repeated mark, a card with a notice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]

_SIDE_PX: Final = 256
_DETAIL_PX: Final = 9
_DETAIL_MAX: Final = 12.0
_AROUND_PX: Final = 21
_CALM: Final = 4.0
_CALM_WEIGHT: Final = 5.0
CALM_SHARE_MIN: Final = 0.015
"""Brick, grass and gravel have no calm part (0.00); other clean photographs 0.13 and more, 0.03 under a strong mark."""
_SHIFT_MIN_PX: Final = 18
_SHIFT_MAX: Final = 0.6
_OVERLAP_MIN: Final = 0.2
_TONES: Final = 2
_TONE_WIDTH: Final = 3


@dataclass(frozen=True, slots=True)
class Repetition:
    """``likeness`` of a picture's fine detail with itself, shifted by the best step (0..1).

    ``calm_share`` of the picture has little fine detail; without any, nothing is said and ``likeness`` is None.
    ``step`` is the shift's length over the long side.
    """

    likeness: float | None
    calm_share: float
    step: float


def repetition(grey: Grey) -> Repetition:
    """Measure ``(H, W) uint8``: a mark that is laid over everything repeats where the picture itself is calm.

    Detail is what a median filter takes away, at 256 px. Calm parts weigh more, so that the picture's own
    structure does not drown the mark. The autocorrelation (Wiener and Khinchin) is divided by that of the
    weights.
    """
    small = _small(grey)
    detail = np.clip(small.astype(np.float32) - cv2.medianBlur(small, _DETAIL_PX), -_DETAIL_MAX, _DETAIL_MAX)
    busy = np.sqrt(cv2.boxFilter(detail * detail, -1, (_AROUND_PX, _AROUND_PX)))
    calm_share = float((busy < _CALM).mean())
    if calm_share < CALM_SHARE_MIN or float(detail.std()) == 0:
        return Repetition(None, calm_share, 0.0)
    weight = 1 / (1 + (busy / _CALM_WEIGHT) ** 2)
    weighted = (detail - np.average(detail, weights=weight)) * weight
    height, width = small.shape
    overlap = _autocorrelation(weight)
    likeness = _autocorrelation(weighted) / np.maximum(overlap, _OVERLAP_MIN * overlap[height, width])
    down, across = np.mgrid[-height:height, -width:width]
    length = np.hypot(down, across)
    looked_at = (
        (length > _SHIFT_MIN_PX) & (abs(down) < _SHIFT_MAX * height) & (abs(across) < _SHIFT_MAX * width)
    )
    best = int(np.where(looked_at, likeness, -np.inf).argmax())
    found = float(likeness.flat[best] / likeness[height, width])
    return Repetition(max(0.0, found), calm_share, float(length.flat[best]) / max(height, width))


def flat_share(grey: Grey) -> float:
    """Return the share of ``(H, W) uint8`` that has one of its two commonest tones.

    A notice on a card has little else.

    Tones are three grey levels wide; a photograph's ground spreads over more, unless it was whitened.
    """
    counts = cv2.calcHist([grey], [0], None, [256], [0, 256]).reshape(-1)
    near = np.convolve(counts, np.ones(_TONE_WIDTH), "same")
    total = 0.0
    for _ in range(_TONES):
        most = int(near.argmax())
        total += float(near[most])
        near[max(0, most - _TONE_WIDTH) : most + _TONE_WIDTH + 1] = 0
    return total / grey.size


def _small(grey: Grey) -> Grey:
    scale = min(1.0, _SIDE_PX / max(grey.shape))
    size = (max(32, round(grey.shape[1] * scale)), max(32, round(grey.shape[0] * scale)))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _autocorrelation(field: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the correlation with itself for every shift; no shift is in the middle."""
    shape = (2 * field.shape[0], 2 * field.shape[1])
    spectrum = np.fft.rfft2(field, shape)
    return np.fft.fftshift(np.fft.irfft2(spectrum * np.conj(spectrum), shape))
