"""Sampling of large pictures: some rows suffice for a mean over a frame."""

from __future__ import annotations

from typing import Final

_ROWS: Final = 512


def row_step(height: int) -> int:
    """Return the step between the rows, or bands of rows, that are looked at: 1 below 512, then 3, 5, 7 and so on.

    It is odd so that the rows fall on every phase of the 8-pixel grid of compression.
    """
    return 2 * (height // _ROWS) + 1
