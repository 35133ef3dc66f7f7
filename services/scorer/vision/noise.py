"""Noise, told from texture by how much of it is left at half the size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.scorer.vision.sampling import row_step

Grey = NDArray[np.uint8]

_TILE: Final = 16
_TEXTURE_GROWTH: Final = {"fine": 7.0, "coarse": 5.0}
"""Rest of texture at half the size, in energy beside what remains of white noise, is at least this. Measured: the
flattest lawn 4.7 to 6.3 at the fine step, gravel 10; other photographs above 3 only where nearly nothing is left. The
fine limit may be high, for noise shows there at full strength; the coarse one is low, to take no lawn for
blotches."""


@dataclass(frozen=True, slots=True)
class NoiseLevel:
    """The noise's standard deviation in grey levels: ``fine`` from pixel to pixel, ``coarse`` in blotches of two.

    ``flat`` is what is left in the flattest parts at full size, be it noise or texture.
    White noise reads about 0.55 of the sigma added to each colour channel in both. Noise that went through JPEG or a
    demosaicing filter is seen in ``coarse`` only.
    """

    fine: float
    coarse: float
    flat: float

    @property
    def sigma(self) -> float:
        """Return the larger of both."""
        return max(self.fine, self.coarse)


def measure_noise(grey: Grey, half: Grey, quarter: Grey) -> NoiseLevel:
    """Estimate the noise of ``(H, W) uint8`` from it and its copies at half and quarter size (area averages).

    Averaging halves white noise, texture less. Let the flattest tiles hold energy ``v`` of noise and ``t`` of
    texture. Their energy is ``v + t`` at one size and, times four, ``v + g t`` at the next, of which ``v``
    follows.
    """
    return noise_from(flat_energy(grey), flat_energy(half), flat_energy(quarter))


def noise_from(fine: float, half: float, quarter: float) -> NoiseLevel:
    """Estimate the noise by the ``flat_energy`` of a picture and of its copies."""
    middle, coarse = 4 * half, 16 * quarter
    return NoiseLevel(
        _without_texture(fine, middle, _TEXTURE_GROWTH["fine"]),
        _without_texture(middle, coarse, _TEXTURE_GROWTH["coarse"]),
        float(np.sqrt(fine)),
    )


def flat_energy(grey: Grey) -> float:
    """Return the squared standard deviation, in grey levels, of what is left in the flattest tenth of 16-pixel tiles.

    Source: Immerkaer 1996, by tile.
    """
    height, width = (side - side % _TILE for side in grey.shape)
    if height < _TILE or width < _TILE:
        return 0.0
    rows = grey[:height, :width].reshape(-1, _TILE, width)
    seen = np.ascontiguousarray(rows[:: row_step(grey.shape[0])]).reshape(-1, width)
    # The mixed second derivative with this aperture is Immerkaer's kernel; doubled, for the 8 bits that follow.
    residual = cv2.convertScaleAbs(cv2.Sobel(seen, cv2.CV_16S, 2, 2, ksize=3), alpha=2)
    # Rows of tiles that were no neighbours meet at these lines.
    inner = residual.reshape(-1, _TILE, width)
    inner[:, 0], inner[:, -1] = inner[:, 1], inner[:, -2]
    strength = _tile_means(residual.astype(np.uint8, copy=False)).reshape(-1)
    return energy_of_tiles(strength, _tile_means(seen).reshape(-1))


def energy_of_tiles(strength: NDArray[Any], level: NDArray[Any]) -> float:
    """Return the energy by each tile's strength of the residual and level, both 0..255."""
    # Tiles near black or white lose half of their noise to clipping.
    usable = (level > 12) & (level < 243)
    if int(usable.sum()) >= max(4, strength.size // 50):
        strength = strength[usable]
    flattest = np.sort(strength)[: max(1, strength.size // 10)]
    return (float(flattest.mean()) / 2 * float(np.sqrt(np.pi / 2)) / 6) ** 2


def _without_texture(energy: float, halved: float, growth: float) -> float:
    noise = min(energy, (growth * energy - halved) / (growth - 1))
    return float(np.sqrt(max(0.0, noise)))


def _tile_means(grey: Grey) -> Grey:
    """Average by tile; sides are multiples of the tile. Halving first is several times faster than at once."""
    height, width = grey.shape
    half = cv2.resize(grey, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    means = cv2.resize(half, (width // _TILE, height // _TILE), interpolation=cv2.INTER_AREA)
    return means.astype(np.uint8, copy=False)
