"""Classical measures on pixels: sharpness, blockiness, effective size, perceptual hash.

The limits in this file belong to the measures (they make raw values comparable); what passes is decided by the
profiles. Where a docstring names separations, they were measured on eleven photographs that ship with
scikit-image and scikit-learn, and on degraded copies of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.scorer.vision.sampling import row_step

Grey = NDArray[np.uint8]
Profile = NDArray[Any]

MEASURE_SIDE_MAX: Final = 1536
"""Sharpness is measured at most at this long side: a larger picture is looked at reduced."""

_GRID: Final = 8
STEP_MAX: Final = 24
_TINY: Final = 1e-6
_NOISE_FLOOR: Final = 2.0
_STRUCTURE_SHARE_MIN: Final = 0.44
"""Share of the fine structure that is not noise: sharp pictures with noise up to sigma 8 read at least 0.51,
blurred ones (sigma 1.5 and more) with noise 5 to 8 at most 0.38; twelve photographs and simulated headshots."""
_TENENGRAD_AT_LIMIT: Final = 40.0
_DIRECTION_AT_LIMIT: Final = 0.5
_EFFECTIVE_TILE_PX: Final = 448
_WINDOW_ROW_STEP: Final = 4
_EFFECTIVE_SIDE_MIN_PX: Final = 16
_LOSS_MAX: Final = {2: 0.055, 3: 0.115, 4: 0.155}
_HASH_SIDE: Final = 32
_HASH_MEDIAN: Final = 31
SMALL_SIDE: Final = 256
"""A small copy's short side has fewer pixels than this."""


@dataclass(frozen=True, slots=True)
class Sharpness:
    """Fine structure relative to the coarse structure seen; ``ratio`` falls with any blur.

    ``ratio`` is the smallest over four directions of the energy of second to first differences, so that motion
    blur shows in its own direction. Clean photographs 0.99..5.9 (median 2.8); Gaussian sigma 1.5 at most 0.39,
    11 px motion median 0.32, 3x upscaled at most 0.50. Where noise drowns the fine structure, ``method`` is
    ``tenengrad`` and the ratio follows the mean Sobel magnitude.
    """

    ratio: float
    method: str


def sharpness(grey: Grey, noise_sigma: float) -> Sharpness:
    """Measure sharpness of ``(H, W) uint8``; ``noise_sigma`` (grey levels) is subtracted from the energies."""
    grey = _at_most(grey, MEASURE_SIDE_MAX)
    return sharpness_from(direction_energies(grey), noise_sigma, lambda: _tenengrad(grey))


def sharpness_from(
    energies: list[tuple[float, float]], noise_sigma: float, tenengrad: Callable[[], float]
) -> Sharpness:
    """Judge by the ``direction_energies``, and where noise drowns those by the mean Sobel magnitude."""
    noise_energy = noise_sigma**2
    # White noise of variance v adds v/2 to the energy of (c - a) / 2 and 6 v to that of a - 2 b + c.
    cleaned = [
        (max(0.0, first - noise_energy / 2), max(0.0, second - 6 * noise_energy))
        for first, second in energies
    ]
    ratio = min(second / (first + _TINY) for first, second in cleaned)
    structure = min(
        after / (before + _TINY) for (_, before), (_, after) in zip(energies, cleaned, strict=True)
    )
    if noise_sigma > _NOISE_FLOOR and structure < _STRUCTURE_SHARE_MIN:
        # Noise drowns the fine structure: only the strength of edges still tells sharp from blurred.
        ratio = _DIRECTION_AT_LIMIT * max(0.0, tenengrad() - 5 * noise_sigma) / _TENENGRAD_AT_LIMIT
        return Sharpness(ratio, "tenengrad")
    return Sharpness(ratio, "direction_ratio")


def blockiness(grey: Grey) -> float:
    """Return how strong the 8-pixel grid is at the phase where its steps are strongest, mean of both axes.

    It is the larger of two readings. The ratio of the steps on the grid to those off it shows on smooth
    surfaces. The excess of the former over the latter in grey levels shows in texture, where steps count with
    at most 24 levels.

    Both are about 1.45 where compression starts to be seen, and both stay when a picture is cropped after
    compression. Measured: clean at most 1.14, quality 75 at most 1.36, 30 at least 1.72, 20 at least 2.1;
    without a grid 1.
    """
    return blockiness_from(_grid(grey, axis=1), _grid(grey, axis=0))


def blockiness_from(across: tuple[float, float], down: tuple[float, float]) -> float:
    """Judge by the ratio and the excess of the steps on the grid along both axes (``grid_from``)."""
    return max((across[0] + down[0]) / 2, (across[1] + down[1]) / 2)


def effective_scale(grey: Grey) -> float:
    """Return the largest reduction (1 to 4) from which the picture could be enlarged again without loss.

    Clean photographs lose at least 0.072 of their gradient energy at 2 and 0.25 at 3. Photographs upscaled
    twice lose at most 0.041 at 2, upscaled three times at most 0.097 at 3. Measured on the most structured
    part.
    """
    tile = _most_structured(grey, _EFFECTIVE_TILE_PX)
    height, width = tile.shape
    if min(height, width) < _EFFECTIVE_SIDE_MIN_PX:
        return 1.0
    across = cv2.norm(tile[:, 1:], tile[:, :-1], cv2.NORM_L2SQR) / (height * (width - 1))
    steps = float(across + cv2.norm(tile[1:], tile[:-1], cv2.NORM_L2SQR) / ((height - 1) * width))
    if steps < 0.5:
        return 1.0
    scale = 1
    for factor, loss_max in _LOSS_MAX.items():
        if _loss(tile, factor) / steps < loss_max:
            scale = factor
        elif factor == 2:
            # What loses at 2 loses more at 3 and 4.
            break
    return float(scale)


def small_copy(grey: Grey) -> Grey:
    """Return a copy whose short side has less than 256 pixels, halved as often as it takes."""
    while min(grey.shape) >= SMALL_SIDE:
        grey = halved(grey)
    return grey


def perceptual_hash(grey: Grey) -> str:
    """Return the 64-bit pHash as 16 hex digits. Near-duplicates differ in at most 10 bits (measured)."""
    grey = small_copy(grey)
    small = cv2.resize(grey, (_HASH_SIDE, _HASH_SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:8, :8].reshape(-1)
    bits = low > np.sort(low[1:])[_HASH_MEDIAN]
    return np.packbits(bits).tobytes().hex()


def halved(grey: Grey) -> Grey:
    """Halve by averaging; an odd last row or column is left out, which keeps to the fast path."""
    height, width = grey.shape[0] // 2, grey.shape[1] // 2
    half = cv2.resize(grey[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
    return half.astype(np.uint8, copy=False)


def _loss(tile: Grey, factor: int) -> float:
    """Return the mean squared difference after reducing by ``factor`` and enlarging again."""
    height, width = tile.shape
    small_size = (max(1, width // factor), max(1, height // factor))
    small = cv2.resize(tile, small_size, interpolation=cv2.INTER_AREA).astype(np.float32)
    again = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return float(cv2.norm(again, tile.astype(np.float32), cv2.NORM_L2SQR)) / float(width * height)


def _at_most(grey: Grey, side_max: int) -> Grey:
    scale = side_max / max(grey.shape)
    if scale >= 1:
        return grey
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _tenengrad(grey: Grey) -> float:
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0)
    return float(cv2.mean(cv2.magnitude(across, cv2.Sobel(grey, cv2.CV_32F, 0, 1)))[0])


def direction_energies(grey: Grey) -> list[tuple[float, float]]:
    """Return, for four directions, the mean energies of first (over two pixels) and second differences.

    Both follow from sums of squared differences of pairs, which need no intermediate image:
    ``(a - 2 b + c)^2 = 2 (a - b)^2 + 2 (b - c)^2 - (a - c)^2``.
    """
    step = row_step(grey.shape[0])
    above, level, below = grey[:-2:step], grey[1:-1:step], grey[2::step]
    views = (
        (level[:, :-2], level[:, 1:-1], level[:, 2:]),
        (above, level, below),
        (above[:, :-2], level[:, 1:-1], below[:, 2:]),
        (above[:, 2:], level[:, 1:-1], below[:, :-2]),
    )
    energies = []
    for before, here, after in views:
        if here.size == 0:
            return [(1.0, 0.0)]
        wide = float(cv2.norm(after, before, cv2.NORM_L2SQR))
        near = float(cv2.norm(here, before, cv2.NORM_L2SQR) + cv2.norm(after, here, cv2.NORM_L2SQR))
        energies.append((wide / 4 / here.size, (2 * near - wide) / here.size))
    return energies


def _grid(grey: Grey, *, axis: int) -> tuple[float, float]:
    """Return the ratio and the excess of the steps on the grid, along one axis."""
    if grey.shape[axis] < 4 * _GRID:
        return 1.0, 0.0
    steps = _steps_across(grey) if axis == 1 else _steps_down(grey)
    profile = _profile(steps, axis)
    cv2.threshold(steps, STEP_MAX, 0, cv2.THRESH_TRUNC, dst=steps)
    return grid_from(profile, _profile(steps, axis))


def _steps_across(grey: Grey) -> cv2.typing.MatLike:
    seen = grey[:: _grid_step(grey.shape[0])]
    return cv2.absdiff(seen[:, 1:], seen[:, :-1])


def _steps_down(grey: Grey) -> cv2.typing.MatLike:
    height, width = grey.shape
    bands, period = _bands(height)
    if period == _GRID:
        return cv2.absdiff(grey[1:], grey[:-1])
    # A band is one line here, so that its rows are shifted against each other by their width.
    rows = grey[: bands * period].reshape(bands, period * width)
    steps = cv2.absdiff(rows[:, width : (_GRID + 1) * width], rows[:, : _GRID * width])
    return steps.reshape(-1, width)


def in_bands(profile: Profile, height: int) -> Profile:
    """Return the mean steps down that are looked at in a picture of that height, out of those at all its rows."""
    bands, period = _bands(height)
    return (
        profile
        if period == _GRID
        else profile[: bands * period].reshape(bands, period)[:, :_GRID].reshape(-1)
    )


def _bands(height: int) -> tuple[int, int]:
    """Return how many bands of 8 steps between rows are looked at, and the rows from one to the next."""
    period = _GRID * _grid_step(height)
    return height // period, period


def _grid_step(height: int) -> int:
    # Texture hides the grid: quality 75 of bricks would pass the limit if a picture of 512 rows were thinned.
    return row_step(height // 2)


def grid_from(profile: Profile, capped: Profile) -> tuple[float, float]:
    """Return ratio and excess by the mean step at each position of an axis, and that of steps of at most ``STEP_MAX``."""
    on, off = _strongest_phase(profile)
    on_capped, off_capped = _strongest_phase(capped)
    return (on + 0.05) / (off + 0.05), on_capped - off_capped


def _profile(steps: cv2.typing.MatLike, axis: int) -> Profile:
    return cv2.reduce(steps, 0 if axis == 1 else 1, cv2.REDUCE_AVG, dtype=cv2.CV_32F).reshape(-1)


def _strongest_phase(profile: Profile) -> tuple[float, float]:
    whole = profile.size - profile.size % _GRID
    sums = profile[:whole].reshape(-1, _GRID).sum(axis=0, dtype=np.float64)
    remainder = profile[whole:]
    sums[: remainder.size] += remainder
    counts = np.full(_GRID, whole // _GRID)
    counts[: remainder.size] += 1
    phases: list[float] = (sums / counts).tolist()
    strongest = max(phases)
    return strongest, (sum(phases) - strongest) / (_GRID - 1)


def _most_structured(grey: Grey, side: int) -> Grey:
    """Cut the window of at most ``side`` with the most gradient, on a coarse raster of windows."""
    height, width = grey.shape
    if height <= side and width <= side:
        return grey
    seen = grey[::_WINDOW_ROW_STEP]
    steps = cv2.absdiff(seen[:, 1:], seen[:, :-1])
    best, window = -1.0, grey[:side, :side]
    for top in sorted({0, max(0, (height - side) // 2), max(0, height - side)}):
        for left in sorted({0, max(0, (width - side) // 2), max(0, width - side)}):
            strength = float(
                cv2.mean(
                    steps[top // _WINDOW_ROW_STEP : (top + side) // _WINDOW_ROW_STEP, left : left + side]
                )[0]
            )
            if strength > best:
                best, window = strength, grey[top : top + side, left : left + side]
    return window
