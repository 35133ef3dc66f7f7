"""Chunks of a PNG file. Source: PNG (Third Edition), sections 5, 11 and 13."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from winnow.pictures.structure import PARTS_MAX, BadStructure, CutShort, Structure

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
INFLATED_MAX: Final = 1_048_576
"""Bytes that one compressed text or profile may inflate to. The decoder that finishes pictures has the same limit."""
INFLATED_TOGETHER_MAX: Final = 8 * INFLATED_MAX
_HEADER: Final = b"IHDR"
_PIXELS: Final = b"IDAT"
_END: Final = b"IEND"
_SIDE_MAX: Final = 2**31 - 1
_DEPTHS: Final = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}
"""Bits a sample, by colour type."""
_NEEDED: Final = frozenset({_HEADER, b"PLTE", b"tRNS", _PIXELS, _END})


class Chunk(NamedTuple):
    """A chunk: ``content[start:end]`` with its length and checksum."""

    kind: bytes
    start: int
    end: int

    def body(self, content: bytes) -> bytes:
        """Return what lies between the name and the checksum."""
        return content[self.start + 8 : self.end - 4]


def chunks(content: bytes) -> Iterator[Chunk]:
    """Yield the chunks, the end last; raises BadStructure, CutShort."""
    position = len(SIGNATURE)
    for _ in range(PARTS_MAX):
        if position + 12 > len(content):
            raise CutShort
        length, kind = struct.unpack(">I4s", content[position : position + 8])
        if length > _SIDE_MAX or not kind.isalpha():
            raise BadStructure("broken_chunk")
        end = position + 12 + length
        if end > len(content):
            raise CutShort
        yield Chunk(kind, position, end)
        if kind == _END:
            return
        position = end
    raise BadStructure("too_many_parts")


def read(content: bytes) -> Structure:
    """Return what the structure says; raises BadStructure."""
    size: tuple[int, int] | None = None
    has_pixels, inflated, end = False, 0, 0
    try:
        for chunk in chunks(content):
            if (size is None) is not (chunk.kind == _HEADER):
                raise BadStructure("broken_header")
            if chunk.kind == _HEADER:
                size = _size(content, chunk)
            if chunk.kind == b"acTL":
                raise BadStructure("animated")
            has_pixels |= chunk.kind == _PIXELS
            inflated += _inflated(chunk.kind, chunk.body(content)) if chunk.kind != _PIXELS else 0
            if inflated > INFLATED_TOGETHER_MAX:
                raise BadStructure("metadata_inflates")
            end = chunk.end
    except CutShort:
        if size is None:
            raise
        return Structure("image/png", *size, is_whole=False)
    if size is None or not has_pixels:
        raise BadStructure("no_pixels")
    if end != len(content):
        raise BadStructure("trailing_bytes")
    return Structure("image/png", *size, is_whole=True)


def without_ancillary(content: bytes) -> bytes:
    """Return the picture without the chunks that its pixels do not need; raises BadStructure."""
    return SIGNATURE + b"".join(
        content[chunk.start : chunk.end] for chunk in chunks(content) if chunk.kind in _NEEDED
    )


def _size(content: bytes, chunk: Chunk) -> tuple[int, int]:
    body = chunk.body(content)
    if len(body) != 13 or zlib.crc32(_HEADER + body) != int.from_bytes(
        content[chunk.end - 4 : chunk.end], "big"
    ):
        raise BadStructure("broken_header")
    width, height, depth, colour, compression, row_filter, interlace = struct.unpack(">IIBBBBB", body)
    is_known = depth in _DEPTHS.get(colour, ()) and not compression and not row_filter and interlace in {0, 1}
    if not is_known or not 1 <= width <= _SIDE_MAX or not 1 <= height <= _SIDE_MAX:
        raise BadStructure("broken_header")
    return width, height


def _inflated(kind: bytes, body: bytes) -> int:
    """Return how far the compressed part of a chunk inflates; raises BadStructure beyond the limit.

    A stream that is broken inflates as far as it can be read: nobody shows what is in it.
    """
    compressed = _compressed(kind, body)
    if not compressed:
        return 0
    inflate = zlib.decompressobj()
    try:
        length = len(inflate.decompress(compressed, INFLATED_MAX))
    except zlib.error:
        return 0
    if inflate.unconsumed_tail:
        raise BadStructure("metadata_inflates")
    return length


def _compressed(kind: bytes, body: bytes) -> bytes:
    """Return the compressed part of a text or profile: behind its name and the byte that names the method."""
    if kind in {b"zTXt", b"iCCP"}:
        return body.partition(b"\x00")[2][1:]
    if kind == b"iTXt":
        rest = body.partition(b"\x00")[2]
        return rest[2:].split(b"\x00", 2)[-1] if rest[:1] != b"\x00" else b""
    return b""
