"""Matte of the person: Google's selfie segmenter, run by OpenCV."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE_PX: Final = 256


class PortraitMatte:
    """The segmentation network, loaded once per process; not safe for threads."""

    def __init__(self, content: bytes) -> None:
        """Load from verified bytes."""
        self._network = cv2.dnn.readNetFromTFLite(np.frombuffer(content, np.uint8))

    def of(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the matte of ``(H, W, 3) uint8 RGB`` as ``(256, 256) float32``, 1 where the person is."""
        small = cv2.resize(rgb, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
        self._network.setInput(cv2.dnn.blobFromImage(small, 1 / 255))
        matte = self._network.forward().reshape(SIDE_PX, SIDE_PX)
        return np.clip(matte, 0.0, 1.0).astype(np.float32)
