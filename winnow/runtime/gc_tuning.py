"""Python's collector of cycles, which would otherwise walk all that stays again and again."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_THRESHOLDS: Final = (20_000, 20, 50)
"""New objects between two looks at the youngest, and looks of each age between two at the next (Python: 700, 10, 10)."""
_OBJECTS_BETWEEN: Final = 200_000  # new ones between two looks at the youngest


def freeze_after_startup() -> None:
    """Leave out what is there now, modules above all, for the rest of this process, and look at the rest seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)


@contextmanager
def rare_collections() -> Iterator[None]:
    """Look for cycles seldom in this block: what is folded has none, and all of it would be walked again and again."""
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS_BETWEEN, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
