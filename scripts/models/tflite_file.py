"""Reads a TFLite file's first graph: its operators in order, and its tensors with their constant values."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

OPERATORS: Final = {
    0: "add",
    2: "concatenation",
    3: "convolution",
    4: "depthwise",
    6: "dequantize",
    14: "logistic",
    17: "max_pool",
    19: "relu",
    22: "reshape",
    23: "resize",
    34: "pad",
    54: "prelu",
}
"""The operators that are converted, by their number. Source: ``BuiltinOperator`` of TensorFlow Lite's ``schema.fbs``."""
_TYPES: Final = {0: np.float32, 1: np.float16, 2: np.int32}
_MARK: Final = b"TFL3"


class Fields:
    """A table of a FlatBuffers file: its fields by their position in the schema; an absent number is 0."""

    def __init__(self, content: bytes, position: int | None) -> None:
        """Point to a table, or to none."""
        self._content = content
        self._position = position

    def small(self, field: int) -> int:
        """Return a number of one byte."""
        at = self._at(field)
        return 0 if at is None else int(self._read("<b", at))

    def whole(self, field: int) -> int:
        """Return a number of four bytes."""
        at = self._at(field)
        return 0 if at is None else int(self._read("<i", at))

    def text(self, field: int) -> str:
        """Return a name."""
        return self.values(field, np.uint8).tobytes().decode()

    def table(self, field: int) -> Fields:
        """Return a table within."""
        at = self._at(field)
        return Fields(self._content, None if at is None else self._follow(at))

    def tables(self, field: int) -> list[Fields]:
        """Return a list of tables."""
        start, length = self._list(field)
        return [Fields(self._content, self._follow(start + 4 * index)) for index in range(length)]

    def values(self, field: int, dtype: Any) -> NDArray[Any]:
        """Return a list of numbers of a type, or an empty one."""
        start, length = self._list(field)
        return np.frombuffer(self._content, dtype, length, start) if length else np.zeros(0, dtype)

    def _list(self, field: int) -> tuple[int, int]:
        at = self._at(field)
        if at is None:
            return 0, 0
        start = self._follow(at)
        return start + 4, int(self._read("<I", start))

    def _at(self, field: int) -> int | None:
        """Find a field by the table's list of offsets, which lies before it."""
        if self._position is None:
            return None
        offsets = self._position - self._read("<i", self._position)
        entry = 4 + 2 * field
        if entry >= self._read("<H", offsets):
            return None
        offset = self._read("<H", offsets + entry)
        return self._position + offset if offset else None

    def _follow(self, at: int) -> int:
        return int(at + self._read("<I", at))

    def _read(self, form: str, at: int) -> int:
        return int(struct.unpack_from(form, self._content, at)[0])


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's shape, and its value where it is a constant."""

    shape: tuple[int, ...]
    value: NDArray[Any] | None


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator with the numbers of its tensors, and the fields of its options."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Fields


@dataclass(frozen=True, slots=True)
class Network:
    """A graph; ``outputs`` are tensors by the names that the file gives them."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: dict[str, int]


def read_network(content: bytes) -> Network:
    """Read a file; raises ValueError for another file, an unknown operator or an unknown type of constants."""
    if content[4:8] != _MARK:
        msg = "this is no TFLite file"
        raise ValueError(msg)
    file = Fields(content, struct.unpack_from("<I", content)[0])
    # Old files keep the number in one byte, newer ones beside it in four.
    kinds = [max(code.small(0), code.whole(3)) for code in file.tables(1)]
    buffers = [table.values(0, np.uint8) for table in file.tables(4)]
    graph = file.tables(2)[0]
    tensors = graph.tables(0)
    return Network(
        tuple(_tensor(tensor, buffers) for tensor in tensors),
        tuple(_operator(table, kinds) for table in graph.tables(3)),
        _numbers(graph, 1),
        {tensors[number].text(3): number for number in _numbers(graph, 2)},
    )


def _operator(fields: Fields, kinds: list[int]) -> Operator:
    number = kinds[fields.whole(0)]
    if number not in OPERATORS:
        msg = f"the operator {number} is not converted"
        raise ValueError(msg)
    return Operator(OPERATORS[number], _numbers(fields, 1), _numbers(fields, 2), fields.table(4))


def _tensor(fields: Fields, buffers: list[NDArray[np.uint8]]) -> Tensor:
    shape = _numbers(fields, 0)
    content = buffers[fields.whole(2)]
    if not content.size:
        return Tensor(shape, None)
    kind = fields.small(1)
    if kind not in _TYPES:
        msg = f"constants of the type {kind} are not converted"
        raise ValueError(msg)
    return Tensor(shape, content.view(_TYPES[kind]).reshape(shape))


def _numbers(fields: Fields, field: int) -> tuple[int, ...]:
    return tuple(int(number) for number in fields.values(field, np.int32))
