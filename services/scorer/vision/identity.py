"""Identity of a face: an upright chip of the face and its 128 values from dlib's recognition network."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.scorer.inference.network import Network
from services.scorer.vision.faces import Floats

CHIP_PX: Final = 150
_PADDING: Final = 0.25
_LEFT_EYE: Final = (263, 362)
_RIGHT_EYE: Final = (33, 133)
_NOSE_BASE: Final = 2
_TEMPLATE: Final = np.array(
    [(0.8596, 0.2135), (0.6461, 0.2290), (0.1206, 0.2137), (0.3341, 0.2291), (0.4901, 0.6278)], np.float32
)
"""Positions of dlib's five points in a chip without padding: left eye outer, inner, right outer, inner, nose base."""


def face_chip(rgb: NDArray[np.uint8], points: Floats) -> NDArray[np.uint8]:
    """Cut the face upright as ``(150, 150, 3) uint8 RGB``, aligned on eye corners and nose base."""
    seen = points[[*_LEFT_EYE, *_RIGHT_EYE, _NOSE_BASE]]
    wanted = (_TEMPLATE + _PADDING) / (1 + 2 * _PADDING) * CHIP_PX
    to_chip = _similarity(seen, wanted)
    scale = float(np.hypot(to_chip[0, 0], to_chip[1, 0]))
    # Reduce in whole steps first: a far reduction by interpolation alone would alias.
    how = cv2.INTER_LINEAR
    if scale < 0.5:
        size = (max(1, round(rgb.shape[1] * scale * 1.5)), max(1, round(rgb.shape[0] * scale * 1.5)))
        ratio = np.array([size[0] / rgb.shape[1], size[1] / rgb.shape[0]], np.float32)
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        to_chip = _similarity(seen * ratio, wanted)
    return cv2.warpAffine(rgb, to_chip, (CHIP_PX, CHIP_PX), flags=how).astype(np.uint8, copy=False)


def embed(network: Network, chip: NDArray[np.uint8]) -> Floats:
    """Return the 128 values of a chip, mean of it and its mirror image."""
    both: Floats = network.run(network.feed([chip, np.ascontiguousarray(chip[:, ::-1])]))[0]
    middle: Floats = both.mean(axis=0)
    return middle


def _similarity(seen: Floats, wanted: Floats) -> NDArray[np.float64]:
    """Fit rotation, scale and shift in the least-squares sense (Umeyama 1991, without reflection)."""
    seen_mean, wanted_mean = seen.mean(axis=0), wanted.mean(axis=0)
    a, b = seen - seen_mean, wanted - wanted_mean
    power = max(1e-9, float((a * a).sum()))
    along = float((a * b).sum()) / power
    across = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / power
    turn = np.array([[along, -across], [across, along]])
    shift = wanted_mean - turn @ seen_mean
    return np.concatenate([turn, shift[:, None]], axis=1)
