"""The quality of a cut-out: how wide its soft edge is, what was lost inside it, and whether old ground shows at its rim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

RGB = NDArray[np.uint8]
Alpha = NDArray[np.uint8]

_CLEAR: Final = 16
_SOLID: Final = 240
_SMALL_PART: Final = 0.02
_RIM_PX: Final = 3
_RIM_MIN: Final = 32


@dataclass(frozen=True, slots=True)
class Cutout:
    """``edge_px`` is the soft edge's mean width in pixels: 0 is a staircase, many are a smear.

    ``lost_share`` is the area of small holes and small islands over the subject's. Small are parts below 2 %
    of the subject, so a handle's opening is no hole. ``halo`` is the median distance (Euclidean, 8-bit Lab)
    of the soft edge's own colour from the nearest solid colour. It is None where there is too little soft
    edge. ``area_share`` is the subject's share of the frame.
    """

    edge_px: float
    lost_share: float
    halo: float | None
    area_share: float


def cutout(rgb: RGB, alpha: Alpha) -> Cutout | None:
    """Measure straight (not premultiplied) ``(H, W, 3) uint8 RGB`` with ``(H, W) uint8`` alpha; None without subject."""
    seen = (alpha >= 128).astype(np.uint8)
    area = int(seen.sum())
    if area in (0, seen.size):
        return None
    contours, _ = cv2.findContours(seen, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    outline = max(1, sum(len(contour) for contour in contours))
    soft = (alpha > _CLEAR) & (alpha < _SOLID)
    return Cutout(
        edge_px=float(soft.sum()) / outline,
        lost_share=(_small_parts(seen, area) + _small_parts(1 - seen, area)) / area,
        halo=_halo(rgb, alpha, soft),
        area_share=area / seen.size,
    )


def _small_parts(mask: NDArray[np.uint8], area: int) -> int:
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    sizes = stats[1:, cv2.CC_STAT_AREA]
    return int(sizes[sizes < _SMALL_PART * area].sum())


def _halo(rgb: RGB, alpha: Alpha, soft: NDArray[np.bool_]) -> float | None:
    solid = (alpha >= _SOLID).astype(np.uint8)
    inner = cv2.erode(solid, np.ones((3, 3), np.uint8))
    side = 2 * (2 * _RIM_PX + 1) + 1
    weight = cv2.boxFilter(inner.astype(np.float32), -1, (side, side))
    rim = soft & (weight > 0.01) & (alpha > 64)
    if int(rim.sum()) < _RIM_MIN:
        return None
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB).astype(np.float32)
    nearest = cv2.boxFilter(lab * inner[..., None], -1, (side, side))[rim] / weight[rim][:, None]
    return float(np.median(np.linalg.norm(lab[rim] - nearest, axis=1)))
