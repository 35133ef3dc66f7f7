"""Anything but a still picture gets a verdict with a reason, in a process of bounded memory that lives on."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from services.scorer.domain.measures import DECODABLE, SHARPNESS
from services.scorer.engine.pool import ScoringPool, warm_up_picture
from tests.unit.scorer import fatal
from tests.unit.scorer.photographs import jpeg, pillow, png, png_bomb, portrait
from winnow.contracts.values import MeasureStatus

WANTED = frozenset({DECODABLE, SHARPNESS})
PORTRAIT = portrait()
MEMORY_MAX_BYTES = 2 * 1024**3


def animated(form: str, frames: int = 3) -> bytes:
    pictures = [Image.fromarray(np.full((32, 32, 3), 40 * index % 256, np.uint8)) for index in range(frames)]
    stream = io.BytesIO()
    pictures[0].save(stream, form, save_all=True, append_images=pictures[1:], duration=40)
    return stream.getvalue()


def with_chunk(kind: bytes, body: bytes) -> bytes:
    """Put a chunk behind the header of a small PNG."""
    content = warm_up_picture()
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return content[:33] + chunk + content[33:]


MEBIBYTE = 1024**2


def deflated_zeros(mebibytes: int) -> bytes:
    """Return a zlib stream that inflates to so many MiB of zeros, made of a deflated MiB again and again."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = deflate.compress(bytes(MEBIBYTE)) + deflate.flush(zlib.Z_FULL_FLUSH)
    # Adler-32 of zeros: its first sum stays at 1, its second counts the bytes.
    checksum = (mebibytes * MEBIBYTE % 65521) << 16 | 1
    return b"\x78\xda" + block * mebibytes + b"\x03\x00" + struct.pack(">I", checksum)


def text_bomb(mebibytes: int) -> bytes:
    return with_chunk(b"zTXt", b"note\x00\x00" + deflated_zeros(mebibytes))


def profile_bomb(mebibytes: int) -> bytes:
    return with_chunk(b"iCCP", b"profile\x00\x00" + deflated_zeros(mebibytes))


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "no bytes": (lambda: b"", "unknown_format"),
    "text": (lambda: b"<html>402 Payment Required</html>", "unknown_format"),
    "svg": (lambda: b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "unknown_format"),
    "compressed svg": (lambda: gzip.compress(b"<svg/>"), "unknown_format"),
    "gzip bomb": (lambda: gzip.compress(bytes(64 * 1024**2)), "unknown_format"),
    "gif": (lambda: animated("GIF"), "unknown_format"),
    "animated webp": (lambda: animated("WEBP"), "animated"),
    "animated png": (lambda: animated("PNG"), "animated"),
    "a thousand frames": (lambda: animated("WEBP", 1000), "animated"),
    "pixel bomb": (lambda: png_bomb(30_000, 30_000), "too_many_pixels"),
    "jpeg cut short": (lambda: jpeg(PORTRAIT, 90)[:9000], "decoder_refused"),
    "jpeg cut short and closed again": (
        lambda: jpeg(PORTRAIT, 90)[:9000] + b"\xff\xd9",
        "corrupt_or_truncated",
    ),
    "png cut short": (lambda: png(PORTRAIT)[:9000], "corrupt_or_truncated"),
}
NORMALISED: dict[str, Callable[[], bytes]] = {
    "text bomb in a good png": lambda: text_bomb(256),
    "profile bomb in a good png": lambda: profile_bomb(256),
    "four inks": lambda: pillow(PORTRAIT, "JPEG", "CMYK"),
    "palette": lambda: pillow(PORTRAIT, "PNG", "P"),
    "one bit": lambda: pillow(PORTRAIT, "PNG", "1"),
}


@pytest.fixture
async def pool() -> AsyncIterator[ScoringPool]:
    pool = ScoringPool(1, memory_max_bytes=MEMORY_MAX_BYTES, measure=fatal.measure)
    await pool.start(WANTED)
    yield pool
    pool.stop()


def test_a_bomb_inflates_to_what_its_name_says() -> None:
    assert zlib.decompress(deflated_zeros(3)) == bytes(3 * MEBIBYTE)


async def test_bad_input_is_a_failed_verdict_with_its_reason(pool: ScoringPool) -> None:
    for name, (made, reason) in REFUSED.items():
        found = (await pool.measure(made(), WANTED)).by_name()
        assert found[DECODABLE].raw == 0.0, name
        assert found[DECODABLE].evidence["reason"] == reason, name
        assert found[SHARPNESS].status is MeasureStatus.failure_to_assess, name
    assert pool.rebuilt_count == 0


async def test_odd_input_is_normalised(pool: ScoringPool) -> None:
    for name, made in NORMALISED.items():
        found = (await pool.measure(made(), WANTED)).by_name()
        assert found[DECODABLE].raw == 1.0, (name, found[DECODABLE])
        assert found[SHARPNESS].status is MeasureStatus.ok, name
    assert pool.rebuilt_count == 0


async def test_picture_of_a_killed_process_is_measured_by_another(tmp_path: Path) -> None:
    pool = ScoringPool(1, measure=fatal.measure)
    await pool.start(WANTED)
    try:
        mark = tmp_path / "died"
        found = (await pool.measure(fatal.KILLS_ONCE + str(mark).encode(), WANTED)).by_name()
        assert mark.exists()
        assert found[DECODABLE].raw == 1.0
        assert pool.rebuilt_count == 1
        assert (await pool.measure(warm_up_picture(), WANTED)).by_name()[DECODABLE].raw == 1.0
    finally:
        pool.stop()
