"""The order of sets of texts follows from Python's hash seed: it is fixed, so that a seed gives one run everywhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_NAME, _SEED = "PYTHONHASHSEED", "0"


@contextmanager
def fixed_in_children() -> Iterator[None]:
    """Start processes in this block with the fixed hash seed."""
    before = os.environ.get(_NAME)
    os.environ[_NAME] = _SEED
    try:
        yield
    finally:
        del os.environ[_NAME]
        if before is not None:
            os.environ[_NAME] = before


def begin_fixed(module: str) -> None:
    """Begin this command anew with the fixed hash seed, unless it has it: an interpreter cannot change its own."""
    if os.environ.get(_NAME) != _SEED:
        argv = [sys.executable, "-m", module, *sys.argv[1:]]
        os.execve(sys.executable, argv, os.environ | {_NAME: _SEED})
