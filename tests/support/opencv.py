"""Pictures that OpenCV makes, typed: eight bits a channel."""

from __future__ import annotations

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

BGR = NDArray[np.uint8]


def pixels(made: MatLike | None) -> BGR:
    """Return the picture that a call of OpenCV made; raises AssertionError where it made none of eight bits."""
    assert made is not None
    assert made.dtype == np.uint8
    return np.asarray(made, np.uint8)


def decoded(content: bytes, flags: int = cv2.IMREAD_COLOR) -> BGR:
    """Decode a file's bytes."""
    return pixels(cv2.imdecode(np.frombuffer(content, np.uint8), flags))
