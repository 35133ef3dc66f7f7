"""The tier-1 measures of a whole frame, one picture at a time or as tensors among many; both give the same values."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from services.scorer.inference.network import Floats, Network
from services.scorer.vision import classic
from services.scorer.vision.exposure import Exposure, exposure, exposure_from
from services.scorer.vision.noise import NoiseLevel, energy_of_tiles, measure_noise, noise_from

Grey = NDArray[np.uint8]

_SIDE_MIN: Final = 64
_TONES_AT: Final = 6
_TILES_AT: Final = 7


class Frame(Protocol):
    """Measures a frame; see `classic` for what each value means."""

    def noise(self, half: Grey, quarter: Grey, /) -> NoiseLevel:
        """Return the noise; the copies at half and quarter size are those of the analysis."""
        ...

    def sharpness(self, noise_sigma: float) -> classic.Sharpness:
        """Return the ratio of fine to coarse structure."""
        ...

    def blockiness(self) -> float:
        """Return how far the 8-pixel grid stands out."""
        ...

    def exposure(self, *, bright_share_max: float, dark_share_max: float, small: Grey) -> Exposure:
        """Return the exposure."""
        ...


class ClassicFrame:
    """Measures ``(H, W) uint8`` here, each value when it is asked for."""

    def __init__(self, grey: Grey) -> None:
        """Take the picture."""
        self._grey = grey

    def noise(self, half: Grey, quarter: Grey, /) -> NoiseLevel:
        """Return the noise by the picture and its copies."""
        return measure_noise(self._grey, half, quarter)

    def sharpness(self, noise_sigma: float) -> classic.Sharpness:
        """Return the ratio of fine to coarse structure."""
        return classic.sharpness(self._grey, noise_sigma)

    def blockiness(self) -> float:
        """Return how far the 8-pixel grid stands out."""
        return classic.blockiness(self._grey)

    def exposure(self, *, bright_share_max: float, dark_share_max: float, small: Grey) -> Exposure:
        """Return the exposure."""
        return exposure(
            self._grey, bright_share_max=bright_share_max, dark_share_max=dark_share_max, small=small
        )


class TensorFrame:
    """Measures with the ``tier_one`` graph: all sums in one run at once, finished here.

    The graph (`model_builder/tier_one.py`) returns energies ``(4, 2)``, the Sobel magnitude, and mean steps
    along both axes as they are and capped. It also returns ``(highlight, mean, dark, bright)``. Last come
    strength and level of the tiles that noise is read from, at full, half and quarter size.
    """

    def __init__(self, network: Network, grey: Grey) -> None:
        """Take a picture that ``fits_tensors``; raises DeviceGone, DeviceRefused."""
        self._sums: list[Floats] = [output[0] for output in network.run(grey[None])]
        self._height = grey.shape[0]

    def noise(self, _half: Grey, _quarter: Grey, /) -> NoiseLevel:
        """Return the noise; the graph makes the copies itself."""
        fine, half, quarter = (
            energy_of_tiles(self._sums[at], self._sums[at + 1]) for at in range(_TILES_AT, _TILES_AT + 6, 2)
        )
        return noise_from(fine, half, quarter)

    def sharpness(self, noise_sigma: float) -> classic.Sharpness:
        """Return the ratio of fine to coarse structure."""
        energies = [(float(first), float(second)) for first, second in self._sums[0]]
        return classic.sharpness_from(energies, noise_sigma, lambda: float(self._sums[1]))

    def blockiness(self) -> float:
        """Return how far the 8-pixel grid stands out."""
        across, across_capped, *rows = self._sums[2:6]
        down, down_capped = (classic.in_bands(row, self._height) for row in rows)
        return classic.blockiness_from(
            classic.grid_from(across, across_capped), classic.grid_from(down, down_capped)
        )

    def exposure(self, *, bright_share_max: float, dark_share_max: float, small: Grey) -> Exposure:
        """Return the exposure."""
        highlight, mean, dark, bright = (float(value) for value in self._sums[_TONES_AT])
        return exposure_from((highlight, mean, dark, bright), bright_share_max, dark_share_max, small)


def fits_tensors(grey: Grey) -> bool:
    """Return whether a picture is measured at its own size and is no smaller than what every part of the graph needs."""
    sides: tuple[int, ...] = grey.shape
    return min(sides) >= _SIDE_MIN and max(sides) <= classic.MEASURE_SIDE_MAX
