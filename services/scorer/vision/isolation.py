"""One main subject before an even ground, by classical means: a smooth ground is fitted to the border."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

_SIDE: Final = 192
_RING_SHARE: Final = 0.06
_DISTANCE: Final = 14.0
"""Distance in 8-bit Lab that separates subject from ground; the fit absorbs slow light falls."""
_EVEN_AT_LIMIT: Final = 0.80
_MAIN_AT_LIMIT: Final = 0.60
_AREA_AT_LIMIT: Final = 0.04
_AREA_MAX: Final = 0.90
_OFFSET_AT_LIMIT: Final = 0.30


@dataclass(frozen=True, slots=True)
class Isolation:
    """Isolation of one subject; ``margin`` is the worst part over its limit, so below 1 fails.

    ``even_share`` is the part of the border ring that fits the ground. ``main_share`` is the largest
    component's part of what differs from the ground, and ``area_share`` its part of the frame. ``offset`` is
    its distance from the middle in sides. ``subject`` is ``(h, w) bool`` at reduced size: the hull of the
    main component, None without one.
    """

    margin: float
    even_share: float
    main_share: float
    area_share: float
    offset: float
    subject: NDArray[np.bool_] | None


def isolation(rgb: NDArray[np.uint8]) -> Isolation:
    """Measure ``(H, W, 3) uint8 RGB``."""
    scale = _SIDE / max(rgb.shape[:2])
    size = (max(16, round(rgb.shape[1] * scale)), max(16, round(rgb.shape[0] * scale)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32)
    ring = _ring(lab.shape[0], lab.shape[1])
    distance = np.linalg.norm(lab - _ground(lab, ring), axis=2)
    even_share = float((distance[ring] < _DISTANCE).mean())
    kernel = np.ones((3, 3), np.uint8)
    differs = cv2.morphologyEx((distance >= _DISTANCE).astype(np.uint8), cv2.MORPH_OPEN, kernel)
    count, labels, stats, centroids = cv2.connectedComponentsWithStats(
        cv2.morphologyEx(differs, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    )
    if count < 2:
        return Isolation(0.0, even_share, 0.0, 0.0, 0.0, None)
    main = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    area = float(stats[main, cv2.CC_STAT_AREA])
    area_share = area / labels.size
    main_share = area / float(stats[1:, cv2.CC_STAT_AREA].sum())
    offset = float(np.abs(centroids[main] / np.array(size) - 0.5).max())
    margin = min(
        even_share / _EVEN_AT_LIMIT,
        main_share / _MAIN_AT_LIMIT,
        area_share / _AREA_AT_LIMIT,
        2.0 - offset / _OFFSET_AT_LIMIT,
        0.0 if area_share > _AREA_MAX else 2.0,
    )
    return Isolation(margin, even_share, main_share, area_share, offset, _hull(labels == main))


def _ring(height: int, width: int) -> NDArray[np.bool_]:
    depth = max(2, round(_RING_SHARE * min(height, width)))
    ring = np.ones((height, width), bool)
    ring[depth:-depth, depth:-depth] = False
    return ring


def _ground(lab: NDArray[np.float32], ring: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Fit a quadratic surface to the ring, leave out what lies far off, and fit again."""
    height, width = lab.shape[:2]
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=-1).astype(np.float32)
    inputs, targets = terms[ring], lab[ring]
    solution = np.linalg.lstsq(inputs, targets, rcond=None)[0]
    for _ in range(2):
        residual = np.linalg.norm(targets - inputs @ solution, axis=1)
        is_inlier = residual <= max(_DISTANCE / 2, float(np.median(residual)) * 2)
        solution = np.linalg.lstsq(inputs[is_inlier], targets[is_inlier], rcond=None)[0]
    ground: NDArray[np.float32] = (terms @ solution).astype(np.float32)
    return ground


def _hull(component: NDArray[np.bool_]) -> NDArray[np.bool_]:
    points = cv2.findNonZero(component.astype(np.uint8))
    filled = np.zeros(component.shape, np.uint8)
    cv2.fillConvexPoly(filled, cv2.convexHull(points), (1,))
    return filled.astype(bool)
