"""Decoding untrusted bytes into one form: size limits before decoding, strictness while, RGB after."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.scorer.vision.orientation import upright

BYTES_MAX: Final = 32 * 1024 * 1024
PIXELS_MAX: Final = 40_000_000
SIDE_MAX: Final = 16_384
_WARNING_BYTES_MAX: Final = 65_536
_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_JPEG_WITHOUT_BODY: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_CHANNELS_WITH_ALPHA: Final = 4
_YCBCR: Final = 3
_WEBP_ANIMATED: Final = 0x02
_PNG_ALPHA_TYPES: Final = frozenset({4, 6})


class NotDecodable(Exception):  # noqa: N818 (the noun of the problem)
    """The bytes are not a complete picture within the limits; ``reason`` is a stable word."""

    def __init__(self, reason: str) -> None:
        """Keep the reason."""
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Header:
    """Header of an image: format, size in pixels as stored, transparency, whether luminance is stored."""

    content_type: str
    width: int
    height: int
    has_alpha: bool = False
    has_luminance: bool = False


class Picture:
    """A decoded picture: ``grey`` is ``(H, W) uint8``, ``rgb`` ``(H, W, 3) uint8 RGB``; upright and opaque.

    Of a JPEG that was decoded for its luminance alone, the colours are decoded when they are first asked for.
    """

    def __init__(
        self,
        grey: NDArray[np.uint8],
        bgr: Callable[[], NDArray[np.uint8]],
        content_type: str,
        bgra: NDArray[np.uint8] | None = None,
    ) -> None:
        """Take the grey pixels, a getter of the coloured pixels (BGR), and the transparent original (BGRA)."""
        self.grey = grey
        self._bgra = bgra
        self.content_type = content_type
        self._bgr = bgr

    @cached_property
    def rgb(self) -> NDArray[np.uint8]:
        """Return the colours; raises NotDecodable."""
        return cv2.cvtColor(self._bgr(), cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)

    @property
    def straight(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]] | None:
        """Return ``(H, W, 3)`` RGB and ``(H, W)`` alpha as they were before they were laid on white.

        None if opaque.
        """
        if self._bgra is None:
            return None
        rgb = cv2.cvtColor(self._bgra, cv2.COLOR_BGRA2RGB).astype(np.uint8, copy=False)
        return rgb, self._bgra[:, :, 3]

    @property
    def width(self) -> int:
        """Return the width in pixels, upright."""
        return int(self.grey.shape[1])

    @property
    def height(self) -> int:
        """Return the height in pixels, upright."""
        return int(self.grey.shape[0])


def read_header(content: bytes) -> Header:
    """Read format and size without decoding, and check the limits; raises NotDecodable."""
    if len(content) > BYTES_MAX:
        raise NotDecodable("too_many_bytes")
    header = _header(content)
    if header.width < 1 or header.height < 1:
        raise NotDecodable("broken_header")
    if header.width * header.height > PIXELS_MAX or max(header.width, header.height) > SIDE_MAX:
        raise NotDecodable("too_many_pixels")
    return header


def decode(content: bytes, *, luminance_only: bool = False) -> Picture:
    """Decode a JPEG, PNG or WebP; raises NotDecodable.

    EXIF rotation is applied, 16-bit and palette and CMYK are converted, transparency is laid on white; a picture
    that moves is refused. With ``luminance_only`` a YCbCr JPEG's stored luminance is taken, a quarter cheaper.
    """
    header = read_header(content)
    if header.content_type == "image/png":
        _check_png(content)
    if luminance_only and header.has_luminance:
        grey = _pixels(content, header, cv2.IMREAD_GRAYSCALE)
        return Picture(
            grey,
            lambda: _opaque_bgr(_eight_bit(_pixels(content, header, cv2.IMREAD_COLOR))),
            header.content_type,
        )
    flags = cv2.IMREAD_UNCHANGED if header.has_alpha else cv2.IMREAD_COLOR
    pixels = _eight_bit(_pixels(content, header, flags))
    if header.has_alpha:
        # Of transparent pictures, and of no others, the decoder gives the pixels unturned.
        pixels = upright(content, pixels)
    bgr = _opaque_bgr(pixels)
    bgra = pixels if pixels.ndim == 3 and pixels.shape[2] == _CHANNELS_WITH_ALPHA else None
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
    return Picture(grey, lambda: bgr, header.content_type, bgra)


def _pixels(content: bytes, header: Header, flags: int) -> NDArray[Any]:
    with _decoder_warnings() as warned:
        try:
            pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
        except (cv2.error, MemoryError) as error:
            raise NotDecodable("decoder_refused") from error
    if pixels is None:
        raise NotDecodable("decoder_refused")
    if _shows_damage(header.content_type, warned()):
        raise NotDecodable("corrupt_or_truncated")
    if sorted(pixels.shape[:2]) != sorted((header.height, header.width)):
        raise NotDecodable("size_differs_from_header")
    return pixels


def _header(content: bytes) -> Header:
    try:
        if content.startswith(_PNG_SIGNATURE):
            return _png_header(content)
        if content.startswith(b"\xff\xd8\xff"):
            return _jpeg_header(content)
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            return _webp_header(content)
    except (struct.error, IndexError) as error:
        raise NotDecodable("broken_header") from error
    raise NotDecodable("unknown_format")


def _png_header(content: bytes) -> Header:
    if content[12:16] != b"IHDR":
        raise NotDecodable("broken_header")
    width, height, _, colour_type = struct.unpack(">IIBB", content[16:26])
    has_alpha = colour_type in _PNG_ALPHA_TYPES or content.find(b"tRNS", 33, 4096) > 0
    return Header("image/png", width, height, has_alpha)


def _jpeg_header(content: bytes) -> Header:
    position = 2
    while position < len(content):
        if content[position] != 0xFF:
            raise NotDecodable("broken_header")
        marker = content[position + 1]
        if marker == 0xFF:
            position += 1
        elif marker in _JPEG_WITHOUT_BODY:
            position += 2
        elif marker in _JPEG_FRAMES:
            height, width = struct.unpack(">HH", content[position + 5 : position + 9])
            return Header("image/jpeg", width, height, has_luminance=content[position + 9] == _YCBCR)
        else:
            position += 2 + struct.unpack(">H", content[position + 2 : position + 4])[0]
    raise NotDecodable("broken_header")


def _webp_header(content: bytes) -> Header:
    if struct.unpack("<I", content[4:8])[0] + 8 > len(content):
        raise NotDecodable("corrupt_or_truncated")
    kind = content[12:16]
    if kind == b"VP8X":
        if content[20] & _WEBP_ANIMATED:
            raise NotDecodable("animated")
        width = 1 + int.from_bytes(content[24:27], "little")
        height = 1 + int.from_bytes(content[27:30], "little")
        return Header("image/webp", width, height, bool(content[20] & 0x10))
    if kind == b"VP8L":
        bits = int.from_bytes(content[21:25], "little")
        return Header("image/webp", 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), bool(bits >> 28 & 1))
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", content[26:30])
        return Header("image/webp", width & 0x3FFF, height & 0x3FFF)
    raise NotDecodable("broken_header")


def _check_png(content: bytes) -> None:
    """Walk the chunks and their checksums: the decoder would fill what is missing without a word."""
    position = len(_PNG_SIGNATURE)
    while position + 12 <= len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        body = content[position + 4 : position + 8 + length]
        checksum = content[position + 8 + length : position + 12 + length]
        if len(checksum) < 4 or zlib.crc32(body).to_bytes(4, "big") != checksum:
            raise NotDecodable("corrupt_or_truncated")
        if body.startswith(b"acTL"):
            raise NotDecodable("animated")
        if body.startswith(b"IEND"):
            return
        position += 12 + length
    raise NotDecodable("corrupt_or_truncated")


class _Warned:
    """Capture of what the decoder writes."""

    def __init__(self) -> None:
        self.text = b""

    def __call__(self) -> bytes:
        return self.text


def _shows_damage(content_type: str, text: bytes) -> bool:
    # The chunks of a PNG were checked already, and what the library still warns of is metadata (profiles).
    lines = [line for line in text.splitlines() if line.strip()]
    if content_type == "image/png":
        lines = [line for line in lines if not line.startswith(b"libpng warning")]
    return bool(lines)


@contextmanager
def _decoder_warnings() -> Iterator[_Warned]:
    """Catch what the native decoders write to standard error, their only way to report damage.

    Swaps the file descriptor of the whole process: call it only in a process of one thread.
    """
    warned = _Warned()
    stderr_copy = os.dup(2)
    sink = os.memfd_create("decoder-warnings")
    try:
        os.dup2(sink, 2)
        yield warned
    finally:
        os.dup2(stderr_copy, 2)
        warned.text = os.pread(sink, _WARNING_BYTES_MAX, 0)
        os.close(stderr_copy)
        os.close(sink)


def _eight_bit(decoded: NDArray[Any]) -> NDArray[np.uint8]:
    if decoded.dtype not in (np.uint8, np.uint16):
        raise NotDecodable("unsupported_depth")
    return (decoded >> 8 if decoded.dtype == np.uint16 else decoded).astype(np.uint8, copy=False)


def _opaque_bgr(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if pixels.ndim == 2:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR).astype(np.uint8, copy=False)
    if pixels.shape[2] == _CHANNELS_WITH_ALPHA:
        alpha = pixels[:, :, 3:].astype(np.uint16)
        mixed = pixels[:, :, :3].astype(np.uint16) * alpha + np.uint16(255) * (np.uint16(255) - alpha)
        return ((mixed + 127) // 255).astype(np.uint8)
    return np.ascontiguousarray(pixels[:, :, :3]).astype(np.uint8, copy=False)
