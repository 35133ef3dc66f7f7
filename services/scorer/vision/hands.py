"""Position of hands: Google's palm detector, run on a square around the face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.scorer.inference.network import Network

Floats = NDArray[np.float32]

SIDE_PX: Final = 192
CONFIDENCE_MIN: Final = 0.9
"""On squares around faces without a hand it reads up to 0.83, with one mostly 0.96 and more (docs/quality.md)."""
_GRIDS: Final = ((24, 2), (12, 6))
"""Cells a side, and anchors in each. Source: MediaPipe ``palm_detection_cpu.pbtxt`` (strides 8 and 16)."""
_OVERLAP_MAX: Final = 0.3


@dataclass(frozen=True, slots=True)
class Hand:
    """A palm in pixels of the picture that was searched, without its fingers; ``confidence`` in 0..1."""

    left: float
    top: float
    right: float
    bottom: float
    confidence: float


class HandDetector:
    """The detector, loaded once per process; not safe for threads."""

    def __init__(self, network: Network) -> None:
        """Take the network, which gives logits of the confidence and boxes."""
        self._network = network
        self._anchors = np.concatenate([_anchors(cells, count) for cells, count in _GRIDS])

    def of(self, square: NDArray[np.uint8]) -> list[Hand]:
        """Find palms in ``(S, S, 3) uint8 RGB``, the surest first."""
        small = cv2.resize(square, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
        logits, raw = self._network.run(self._network.feed([small.astype(np.uint8, copy=False)]))
        confidences = 1 / (1 + np.exp(-np.clip(logits[0, :, 0], -50, 50)))
        sure = confidences >= CONFIDENCE_MIN
        middles = raw[0, sure, :2] / SIDE_PX + self._anchors[sure]
        sizes = raw[0, sure, 2:4] / SIDE_PX
        boxes = np.concatenate([middles - sizes / 2, sizes], axis=1) * len(square)
        indices = cv2.dnn.NMSBoxes(boxes.tolist(), confidences[sure].tolist(), CONFIDENCE_MIN, _OVERLAP_MAX)
        return [_hand(boxes[index], float(confidences[sure][index])) for index in indices]


def covered_share(palms: list[Hand], box: Floats) -> float:
    """Return the share of a box ``(4,)`` (left, top, right, bottom) that lies under the palm covering most of it, 0..1."""
    left, top, right, bottom = (float(value) for value in box)
    area = max(1.0, (right - left) * (bottom - top))
    shares = [
        max(0.0, min(right, palm.right) - max(left, palm.left))
        * max(0.0, min(bottom, palm.bottom) - max(top, palm.top))
        / area
        for palm in palms
    ]
    return max(shares, default=0.0)


def square_around(
    rgb: NDArray[np.uint8], box: Floats, scale: float
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Cut the square of ``scale`` times a box's longer side around it, black beyond the picture; and its corner."""
    left, top, right, bottom = (float(value) for value in box)
    side = max(2, round(max(right - left, bottom - top) * scale))
    x, y = round((left + right - side) / 2), round((top + bottom - side) / 2)
    height, width = rgb.shape[:2]
    square = np.zeros((side, side, 3), np.uint8)
    low_x, high_x, low_y, high_y = max(0, x), min(width, x + side), max(0, y), min(height, y + side)
    if low_x < high_x and low_y < high_y:
        square[low_y - y : high_y - y, low_x - x : high_x - x] = rgb[low_y:high_y, low_x:high_x]
    return square, (x, y)


def _anchors(cells: int, count: int) -> Floats:
    middles = (np.arange(cells, dtype=np.float32) + 0.5) / cells
    grid = np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2)
    return np.repeat(grid, count, axis=0)


def _hand(box: NDArray[np.float64], confidence: float) -> Hand:
    left, top, width, height = (float(value) for value in box)
    return Hand(left, top, left + width, top + height, confidence)
