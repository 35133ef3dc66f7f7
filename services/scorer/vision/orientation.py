"""Orientation of a PNG or WebP, for the pixels that the decoder gives as they are stored."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]

_PNG_SIGNATURE_BYTES: Final = 8
_RIFF_HEADER_BYTES: Final = 12
_EXIF_MARK: Final = b"Exif\0\0"
_TAG: Final = 0x0112
_ENTRY_BYTES: Final = 12
_UPRIGHT: Final[dict[int, Callable[[Pixels], Pixels]]] = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: np.swapaxes(pixels, 0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(np.swapaxes(pixels, 0, 1), 2),
    8: lambda pixels: np.rot90(pixels, 1),
}


def upright(content: bytes, pixels: Pixels) -> Pixels:
    """Turn the stored pixels of a PNG or WebP as its EXIF says; as they are without EXIF or with a broken one."""
    try:
        turn = _UPRIGHT.get(_orientation(_exif(content).removeprefix(_EXIF_MARK)))
    except struct.error:
        turn = None
    return pixels if turn is None else np.ascontiguousarray(turn(pixels))


def _exif(content: bytes) -> bytes:
    if not content.startswith(b"RIFF"):
        return _png_exif(content)
    position = _RIFF_HEADER_BYTES
    while position + 8 <= len(content):
        length = int.from_bytes(content[position + 4 : position + 8], "little")
        if content[position : position + 4] == b"EXIF":
            return content[position + 8 : position + 8 + length]
        position += 8 + length + length % 2
    return b""


def _png_exif(content: bytes) -> bytes:
    position = _PNG_SIGNATURE_BYTES
    while position + 12 <= len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        if content[position + 4 : position + 8] == b"eXIf":
            return content[position + 8 : position + 8 + length]
        position += 12 + length
    return b""


def _orientation(exif: bytes) -> int:
    """Read the orientation of the first directory; 1 without one. Raises struct.error where the block ends early."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    start = struct.unpack_from(f"{order}I", exif, 4)[0]
    for index in range(struct.unpack_from(f"{order}H", exif, start)[0]):
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", exif, start + 2 + index * _ENTRY_BYTES)
        if tag == _TAG:
            return int(value)
    return 1
