"""What makes the reading of millions of blocks quick, and changes nothing of what comes out."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import orjson

from winnow.runtime.journal.model import canonical

_OBJECTS_BETWEEN: Final = 200_000
"""New objects between two looks for cycles (Python's own: 700)."""


def quick_canonical(document: Mapping[str, Any]) -> bytes:
    """Give the bytes of ``canonical`` for a block: texts, whole numbers, lists and maps of them.

    Raises what ``canonical`` raises. A number with a fraction, which no block has, may be written otherwise.
    """
    try:
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        return canonical(document)


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Look for cycles seldom in this block: what is folded has none, and all of it would be walked again and again."""
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS_BETWEEN, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
