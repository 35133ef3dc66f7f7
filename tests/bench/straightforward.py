"""The tier-1 measures written the way that comes first to mind: Pillow, NumPy, SciPy and scikit-image, in 64-bit floats.

The same quantities as the scorer's, one after the other, each from the whole picture.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn
from scipy.ndimage import convolve
from skimage.color import rgb2gray
from skimage.transform import resize

Floats = NDArray[Any]


def tier_one(content: bytes) -> dict[str, float]:
    """Decode and measure."""
    rgb = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    grey = rgb2gray(rgb) * 255
    return {
        "noise": noise(grey),
        "sharpness": sharpness(grey),
        "blockiness": (grid_ratio(grey) + grid_ratio(grey.T)) / 2,
        "exposure": exposure(grey),
        "effective_scale": effective_scale(grey),
        "perceptual_hash": float(perceptual_hash(grey)),
    }


def noise(grey: Floats) -> float:
    """Immerkaer's estimate over the flattest tenth of 16-pixel tiles."""
    residual = np.abs(convolve(grey, np.outer([1, -2, 1], [1, -2, 1])))
    height, width = (side // 16 * 16 for side in grey.shape)
    tiles = residual[:height, :width].reshape(height // 16, 16, width // 16, 16).mean(axis=(1, 3)).ravel()
    return float(np.sort(tiles)[: tiles.size // 10].mean() * np.sqrt(np.pi / 2) / 6)


def sharpness(grey: Floats) -> float:
    """Energy of second over first differences, least of four directions."""
    ratios = []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        before, after = np.roll(grey, (down, right), (0, 1)), np.roll(grey, (-down, -right), (0, 1))
        first, second = (after - before) / 2, before - 2 * grey + after
        ratios.append((second**2).mean() / ((first**2).mean() + 1e-6))
    return float(min(ratios))


def grid_ratio(grey: Floats) -> float:
    """Steps on the strongest phase of the 8-pixel grid over the others."""
    profile = np.abs(np.diff(grey, axis=1)).mean(axis=0)
    phases = np.array([profile[phase::8].mean() for phase in range(8)])
    return float(phases.max() / np.delete(phases, phases.argmax()).mean())


def exposure(grey: Floats) -> float:
    """Shares of clipped pixels and the 98th percentile."""
    highlight = float(np.percentile(grey, 98))
    return float(max(104 / max(highlight, 1), (grey >= 250).mean() / 0.6, (grey <= 5).mean() / 0.75))


def effective_scale(grey: Floats) -> float:
    """Return what is lost by reducing 2, 3 and 4 times, on the middle 640 pixels."""
    top, left = (max(0, (side - 640) // 2) for side in grey.shape)
    tile = grey[top : top + 640, left : left + 640]
    steps = (np.diff(tile, axis=0) ** 2).mean() + (np.diff(tile, axis=1) ** 2).mean()
    scale = 1
    for factor, loss_max in ((2, 0.055), (3, 0.115), (4, 0.155)):
        small = resize(tile, [side // factor for side in tile.shape], anti_aliasing=True)
        if ((resize(small, tile.shape, order=3) - tile) ** 2).mean() / steps < loss_max:
            scale = factor
    return float(scale)


def perceptual_hash(grey: Floats) -> int:
    """64 signs of the lowest cosine terms."""
    low = dctn(resize(grey, (32, 32), anti_aliasing=True))[:8, :8].ravel()
    return int("".join("1" if value > np.median(low[1:]) else "0" for value in low), 2)
