"""Arrays between scoring processes and the device's process: a frame is a short JSON head, then raw bytes.

Both ends are this program of one version on one machine; nothing of a picture but numbers goes over it.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Head = dict[str, Any]
Arrays = tuple[NDArray[Any], ...]

BYTES_MAX: Final = 512 * 1024**2
"""Bytes of a frame's arrays; the largest picture that is scored has 40 million pixels."""
STREAM_LIMIT: Final = 8 * 1024**2
_LENGTH_BYTES: Final = 4
_KINDS: Final = frozenset({"|u1", "<f4", "<i8", "<i4", "|b1", "<f8"})


class FrameInvalid(Exception):  # noqa: N818 (the noun of the problem)
    """A frame announces arrays that are never sent."""


def packed(head: Head, arrays: Sequence[NDArray[Any]]) -> list[bytes | memoryview]:
    """Return the parts of a frame, without copying the arrays' bytes."""
    whole = [np.ascontiguousarray(array) for array in arrays]
    shapes = [[array.dtype.str, list(array.shape)] for array in whole]
    text = json.dumps({**head, "arrays": shapes}).encode()
    return [
        len(text).to_bytes(_LENGTH_BYTES, "big") + text,
        *(array.reshape(-1).view(np.uint8).data for array in whole),
    ]


def announced(head: Head) -> list[tuple[np.dtype[Any], tuple[int, ...], int]]:
    """Return type, shape and bytes of each array of a head; raises FrameInvalid."""
    found = []
    for kind, shape in head.pop("arrays", ()):
        if kind not in _KINDS or any(side < 0 for side in shape):
            raise FrameInvalid("a frame announces arrays of an unknown kind")
        dtype = np.dtype(kind)
        size = dtype.itemsize
        for side in shape:
            size *= side
        found.append((dtype, tuple(shape), size))
    if sum(size for *_, size in found) > BYTES_MAX:
        raise FrameInvalid("a frame announces more bytes than are taken")
    return found


def send(line: socket.socket, head: Head, arrays: Sequence[NDArray[Any]]) -> None:
    """Send a frame; raises OSError."""
    for part in packed(head, arrays):
        line.sendall(part)


def receive(line: socket.socket) -> tuple[Head, Arrays]:
    """Read a frame; raises OSError (also where the other end closed), FrameInvalid."""
    length = int.from_bytes(_exactly(line, _LENGTH_BYTES), "big")
    head = _read_head(bytes(_exactly(line, length)))
    arrays = [_exactly(line, size).view(dtype).reshape(shape) for dtype, shape, size in announced(head)]
    return head, tuple(arrays)


async def receive_async(reader: asyncio.StreamReader) -> tuple[Head, Arrays]:
    """Read a frame; raises IncompleteReadError where the other end closed, FrameInvalid."""
    length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES), "big")
    head = _read_head(await reader.readexactly(length))
    arrays = []
    for dtype, shape, size in announced(head):
        content = await reader.readexactly(size)
        arrays.append(np.frombuffer(content, dtype).reshape(shape))
    return head, tuple(arrays)


def _read_head(text: bytes) -> Head:
    try:
        head = json.loads(text)
    except ValueError as error:
        raise FrameInvalid("a frame does not begin with JSON") from error
    if not isinstance(head, dict):
        raise FrameInvalid("a frame does not begin with an object")
    return head


def _exactly(line: socket.socket, size: int) -> NDArray[np.uint8]:
    content = np.empty(size, np.uint8)
    view, have = content.data, 0
    while have < size:
        count = line.recv_into(view[have:])
        if not count:
            raise ConnectionResetError
        have += count
    return content
