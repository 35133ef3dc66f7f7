"""Chunks of a WebP file. Source: RFC 9649."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from winnow.pictures.structure import PARTS_MAX, BadStructure, CutShort, Structure

_LOSSY: Final = b"VP8 "
_LOSSLESS: Final = b"VP8L"
_EXTENDED: Final = b"VP8X"
_MOVING: Final = frozenset({b"ANIM", b"ANMF"})
_MOVES: Final = 0x02
_KEY_FRAME: Final = b"\x9d\x01\x2a"
_LOSSLESS_SIGNATURE: Final = 0x2F
_STILL: Final = frozenset({_LOSSY, _LOSSLESS})
_FIRST_BODY: Final = 20


class RiffChunk(NamedTuple):
    """A chunk: its body is ``content[start:end]``, without the byte that makes its length even."""

    kind: bytes
    start: int
    end: int


def _chunks(content: bytes, file_end: int) -> Iterator[RiffChunk]:
    position = _FIRST_BODY - 8
    for _ in range(PARTS_MAX):
        if position >= file_end:
            return
        if position + 8 > file_end:
            raise BadStructure("broken_chunk")
        if position + 8 > len(content):
            raise CutShort
        kind, length = struct.unpack("<4sI", content[position : position + 8])
        chunk = RiffChunk(kind, position + 8, position + 8 + length)
        if chunk.end > file_end:
            raise BadStructure("broken_chunk")
        # Of a picture that is cut short, the size in pixels is told all the same.
        yield chunk
        if chunk.end > len(content):
            raise CutShort
        position = chunk.end + length % 2
    raise BadStructure("too_many_parts")


def read(content: bytes) -> Structure:
    """Return what the structure says; raises BadStructure."""
    length = int.from_bytes(content[4:8], "little")
    file_end = 8 + length
    if len(content) > file_end + length % 2:
        raise BadStructure("trailing_bytes")
    canvas: tuple[int, int] | None = None
    size: tuple[int, int] | None = None
    try:
        for chunk in _chunks(content, file_end):
            if chunk.start == _FIRST_BODY and chunk.kind == _EXTENDED:
                canvas = _canvas(content, chunk)
                continue
            _check_kind(chunk)
            if chunk.kind in _STILL:
                if size is not None:
                    raise BadStructure("two_frames")
                size = _size(content, chunk)
                if canvas not in {None, size}:
                    raise BadStructure("broken_header")
    except CutShort:
        if canvas is None and size is None:
            raise
        return Structure("image/webp", *(canvas or size or (0, 0)), is_whole=False)
    if size is None:
        raise BadStructure("no_pixels")
    return Structure("image/webp", *size, is_whole=len(content) >= file_end)


def _check_kind(chunk: RiffChunk) -> None:
    if chunk.kind in _MOVING:
        raise BadStructure("animated")
    if chunk.kind == _EXTENDED or (chunk.start == _FIRST_BODY and chunk.kind not in _STILL):
        raise BadStructure("broken_header")


def _canvas(content: bytes, chunk: RiffChunk) -> tuple[int, int]:
    body = content[chunk.start : chunk.end]
    if chunk.end - chunk.start != 10:
        raise BadStructure("broken_header")
    if len(body) < 10:
        raise CutShort
    if body[0] & _MOVES:
        raise BadStructure("animated")
    return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")


def _size(content: bytes, chunk: RiffChunk) -> tuple[int, int]:
    body = content[chunk.start : min(chunk.start + 10, chunk.end)]
    if len(body) < (10 if chunk.kind == _LOSSY else 5):
        raise CutShort if chunk.end > len(content) else BadStructure("broken_header")
    if chunk.kind == _LOSSLESS:
        bits = int.from_bytes(body[1:5], "little")
        if body[0] != _LOSSLESS_SIGNATURE or bits >> 29:
            raise BadStructure("broken_header")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = (side & 0x3FFF for side in struct.unpack("<HH", body[6:10]))
    if body[0] & 1 or body[3:6] != _KEY_FRAME or not width * height:
        raise BadStructure("broken_header")
    return width, height
