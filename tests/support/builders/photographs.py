"""A picture of nothing, of a size and sharpness that inputs need."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def photograph() -> bytes:
    """Return a PNG of 640 by 640 pixels that the screening of inputs accepts."""
    noise = np.random.default_rng(1).integers(0, 255, (640, 640, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    return buffer.getvalue()
