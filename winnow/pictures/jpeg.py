"""Segments of a JPEG file. Source: ITU-T T.81, Annex B."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from winnow.pictures.structure import PARTS_MAX, BadStructure, CutShort, Structure

SIGNATURE: Final = b"\xff\xd8\xff"
_HUFFMAN_TABLES: Final = 0xC4
_END: Final = 0xD9
_SCAN: Final = 0xDA
_QUANTISATION_TABLES: Final = 0xDB
_RESTART_INTERVAL: Final = 0xDD
_JFIF: Final = 0xE0
_MORE: Final = 0xE2
_ADOBE: Final = 0xEE
_APPLICATION: Final = frozenset(range(0xE0, 0xF0))
_COMMENT: Final = 0xFE
_HUFFMAN_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2})
_FRAMES: Final = _HUFFMAN_FRAMES | {0xC9, 0xCA}
"""Baseline, extended and progressive; the last two with arithmetic coding. Lossless and hierarchical are not read."""
_WITH_BODY: Final = (
    _FRAMES
    | _APPLICATION
    | {_HUFFMAN_TABLES, 0xCC, _SCAN, _QUANTISATION_TABLES, 0xDC, _RESTART_INTERVAL, _COMMENT}
)
_FILL: Final = re.compile(rb"\xff+")
_END_OF_SCAN: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""In a scan 0xFF is followed by zero, a restart marker or fill bytes; anything else is the next segment."""
_SCANS_MAX: Final = 32
_YCBCR_IDS: Final = b"\x01\x02\x03"
_OWN_HEADER: Final = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
"""Start, and a JFIF header that says YCbCr and square pixels, and has no thumbnail."""


class Segment(NamedTuple):
    """A marker and the bytes that belong to it, ``content[start:end]``; the body of a scan's header ends at ``body_end``."""

    marker: int
    start: int
    body_start: int
    body_end: int
    end: int


def segments(content: bytes) -> Iterator[Segment]:
    """Yield the segments behind the start of the picture, its end last; raises BadStructure, CutShort."""
    position, has_scan = 2, False
    for _ in range(PARTS_MAX):
        segment = _segment(content, position)
        has_scan |= segment.marker == _SCAN
        if segment.marker == _END and not has_scan:
            raise BadStructure("no_pixels")
        yield segment
        if segment.marker == _END:
            return
        position = segment.end
    raise BadStructure("too_many_parts")


def _segment(content: bytes, position: int) -> Segment:
    fill = _FILL.match(content, position)
    if fill is None:
        raise CutShort if position >= len(content) else BadStructure("no_marker")
    if fill.end() >= len(content):
        raise CutShort
    marker, start, body_start = content[fill.end()], fill.end() - 1, fill.end() + 3
    if marker == _END:
        return Segment(marker, start, start + 2, start + 2, start + 2)
    if marker not in _WITH_BODY:
        raise BadStructure("unknown_marker")
    length = int.from_bytes(content[body_start - 2 : body_start], "big")
    body_end = body_start - 2 + length
    if body_start > len(content) or body_end > len(content):
        raise CutShort
    if length < 2:
        raise BadStructure("broken_segment")
    if marker != _SCAN:
        return Segment(marker, start, body_start, body_end, body_end)
    behind = _END_OF_SCAN.search(content, body_end)
    if behind is None:
        raise CutShort
    return Segment(marker, start, body_start, body_end, behind.start())


def read(content: bytes) -> Structure:
    """Return what the structure says; raises BadStructure.

    A file of several pictures is refused by its index (MPF): what is behind the first would never be looked at.
    """
    size: tuple[int, int] | None = None
    end = 0
    try:
        for segment in segments(content):
            size = _size_so_far(content, segment, size)
            end = segment.end
    except CutShort:
        if size is None:
            raise
        return Structure("image/jpeg", *size, is_whole=False)
    if size is None:
        raise BadStructure("no_pixels")
    if end != len(content):
        raise BadStructure("trailing_bytes")
    return Structure("image/jpeg", *size, is_whole=True)


def _size_so_far(content: bytes, segment: Segment, size: tuple[int, int] | None) -> tuple[int, int] | None:
    if segment.marker in _FRAMES:
        if size is not None:
            raise BadStructure("two_frames")
        return _size(content[segment.body_start : segment.body_end])
    if segment.marker == _SCAN and size is None:
        raise BadStructure("broken_header")
    if segment.marker == _MORE and content.startswith(b"MPF\x00", segment.body_start):
        raise BadStructure("several_pictures")
    return size


def _size(frame: bytes) -> tuple[int, int]:
    """Return width and height; a height that only the end of the scan tells is refused."""
    if len(frame) < 6:
        raise BadStructure("broken_header")
    bits, height, width, components = struct.unpack(">BHHB", frame[:6])
    if bits != 8 or components not in {1, 3, 4} or len(frame) != 6 + 3 * components or not width * height:
        raise BadStructure("broken_header")
    return width, height


def without_metadata(content: bytes) -> bytes | None:
    """Return a file with the same pixels and nothing else, or None where metadata may decide how they look.

    None too for anything but a whole Huffman-coded YCbCr picture whose tables fill their segments exactly. The caller
    looks for an EXIF orientation.
    """
    pieces, frame, scans, is_ycbcr, adobe = [_OWN_HEADER], b"", 0, False, -1
    size: tuple[int, int] | None = None
    try:
        for segment in segments(content):
            size = _size_so_far(content, segment, size)
            body = content[segment.body_start : segment.body_end]
            if segment.marker in _APPLICATION or segment.marker == _COMMENT:
                if segment.marker == _MORE and body.startswith(b"ICC_PROFILE\x00"):
                    return None
                if _tells_colours(segment.marker, body):
                    is_ycbcr |= segment.marker == _JFIF
                    adobe = body[11] if segment.marker == _ADOBE else adobe
                continue
            if not _is_exact(segment.marker, body):
                return None
            frame = body if segment.marker in _FRAMES else frame
            scans += segment.marker == _SCAN
            pieces.append(content[segment.start : segment.end])
    except BadStructure:
        return None
    if len(frame) != 15 or not 1 <= scans <= _SCANS_MAX or adobe not in {-1, 1}:
        return None
    if not is_ycbcr and adobe != 1 and frame[6::3] != _YCBCR_IDS:
        return None
    return b"".join(pieces)


def without_applications(content: bytes) -> bytes:
    """Return the picture without segments that its pixels do not need, rotated and coloured as stored.

    Raises BadStructure.
    """
    pieces = [content[:2]]
    for segment in segments(content):
        body = content[segment.body_start : segment.body_end]
        is_metadata = segment.marker in _APPLICATION or segment.marker == _COMMENT
        if not is_metadata or _tells_colours(segment.marker, body):
            pieces.append(content[segment.start : segment.end])
    return b"".join(pieces)


def _tells_colours(marker: int, body: bytes) -> bool:
    """Return whether a decoder takes the meaning of the components from a segment. Source: JFIF 1.02; Adobe TN 5116."""
    if marker == _JFIF:
        return body.startswith(b"JFIF\x00") and len(body) >= 14
    return marker == _ADOBE and body.startswith(b"Adobe") and len(body) >= 12


def _is_exact(marker: int, body: bytes) -> bool:
    """Return whether a segment is one that a picture needs and holds nothing beside what it declares."""
    if marker in _HUFFMAN_FRAMES:
        return len(body) == 15 and body[5] == 3
    if marker == _SCAN:
        return bool(body) and 1 <= body[0] <= 3 and len(body) == 4 + 2 * body[0]
    if marker == _QUANTISATION_TABLES:
        return _is_filled(body, lambda at: 65 + 64 * (body[at] >> 4) if body[at] < 0x20 else 0)
    if marker == _HUFFMAN_TABLES:
        return _is_filled(body, lambda at: 17 + sum(body[at + 1 : at + 17]))
    return marker == _END or (marker == _RESTART_INTERVAL and len(body) == 2)


def _is_filled(body: bytes, length_at: Callable[[int], int]) -> bool:
    """Return whether tables, each of the length that its first bytes tell, end where the segment ends."""
    position = 0
    while position < len(body):
        length = length_at(position)
        if length == 0:
            return False
        position += length
    return position == len(body) > 0
