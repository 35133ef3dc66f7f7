"""Reads tensors out of PyTorch's file format of before 2020, without PyTorch and without running what the file says.

Such a file begins with five pickles: a magic number, a version, facts of the machine, the named tensors, the keys of their
storages. For each storage follow its length and its little-endian values. Tensors name their storage by a
persistent id.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_MAGIC: Final = 0x1950A86A20F9469CFC6C
_TYPES: Final = {"FloatStorage": "<f4", "LongStorage": "<i8"}


class _Placed:
    """Place of a tensor: its storage, the first value, its sizes, and how far apart neighbours are on each axis."""

    def __init__(
        self,
        storage: tuple[str, str],
        offset: int,
        sizes: tuple[int, ...],
        steps: tuple[int, ...],
        *_: object,
    ) -> None:
        self.storage, self.offset, self.sizes, self.steps = storage, offset, sizes, steps


class _Reader(pickle.Unpickler):
    """Knows ordered dictionaries and tensors, and refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the class that a name stands for; raises ValueError."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Placed
        if module == "torch" and name in _TYPES:
            return name
        raise ValueError(f"the weights name {module}.{name}")

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        """Return a storage's key and type."""
        _, kind, key, *_ = pid
        return str(key), _TYPES[kind]


def read_tensors(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the tensors by name; raises ValueError for another file."""
    stream = io.BytesIO(content)
    try:
        if _Reader(stream).load() != _MAGIC:
            raise ValueError("this is no PyTorch file of the old format")
        for _ in range(2):
            _Reader(stream).load()
        placed: dict[str, _Placed] = _Reader(stream).load()
        keys = [str(key) for key in _Reader(stream).load()]
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError) as error:
        raise ValueError("this is no PyTorch file of the old format") from error
    kinds = dict(tensor.storage for tensor in placed.values())
    storages = {}
    for key in keys:
        count = int(np.frombuffer(stream.read(8), "<i8")[0])
        kind = np.dtype(kinds[key])
        storages[key] = np.frombuffer(stream.read(count * kind.itemsize), kind)
    return {name: _cut(storages[tensor.storage[0]], tensor) for name, tensor in placed.items()}


def _cut(storage: NDArray[Any], placed: _Placed) -> NDArray[Any]:
    last = placed.offset + sum(
        (size - 1) * step for size, step in zip(placed.sizes, placed.steps, strict=True)
    )
    if min((placed.offset, *placed.steps)) < 0 or last >= storage.size:
        raise ValueError("a tensor lies outside of its storage")
    steps = [step * storage.itemsize for step in placed.steps]
    return np.ascontiguousarray(
        np.lib.stride_tricks.as_strided(storage[placed.offset :], placed.sizes, steps)
    )
