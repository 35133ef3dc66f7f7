"""A segment: the items of a lane as lines of JSON, compressed; the same items give the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson
import zstandard

from winnow.eventstore.model import canonical

SEGMENT_RAW_BYTES: Final = 8 * 1024 * 1024
"""A segment is closed at the item that takes its lines to this size."""
_LEVEL: Final = 3
_RAW_BYTES_MAX: Final = 256 * 1024 * 1024
"""A frame that says it is larger is refused: a block has at most 16 MiB, so a segment stays far below."""


class BrokenSegment(ValueError):  # noqa: N818 (what it is)
    """The file is no segment."""


def line_of(document: Mapping[str, Any]) -> bytes:
    """Write an item as a line."""
    return canonical(document) + b"\n"


def pack(lines: Sequence[bytes]) -> bytes:
    """Compress lines."""
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(b"".join(lines))


def unpack(body: bytes) -> Iterator[dict[str, Any]]:
    """Yield the items; raises BrokenSegment. A whole number beyond 64 bits, which no item has, comes as a float."""
    try:
        size = zstandard.frame_content_size(body)
        if not 0 <= size <= _RAW_BYTES_MAX:
            raise BrokenSegment("the file says a size that no segment has")
        raw = zstandard.ZstdDecompressor().decompress(body)
    except zstandard.ZstdError as error:
        raise BrokenSegment("the file cannot be decompressed") from error
    for line in raw.split(b"\n")[:-1]:
        try:
            document = orjson.loads(line)
        except ValueError:
            raise BrokenSegment("a line is no JSON") from None
        if not isinstance(document, dict):
            raise BrokenSegment("a line is no item")
        yield document
