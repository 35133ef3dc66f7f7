"""Untrusted bytes become upright opaque RGB, or a reason; never a crash."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from services.scorer.vision.decode import NotDecodable, decode, read_header
from services.scorer.vision.orientation import upright
from tests.unit.scorer.photographs import jpeg, pillow, png, png_bomb, portrait

PORTRAIT = portrait()
WIDE = np.ascontiguousarray(PORTRAIT[:300])


def sixteen_bits() -> bytes:
    return cv2.imencode(".png", PORTRAIT.astype(np.uint16) * 257)[1].tobytes()


ENCODERS: dict[str, Callable[[], bytes]] = {
    "png": lambda: png(PORTRAIT),
    "jpeg": lambda: jpeg(PORTRAIT, 95),
    "progressive": lambda: pillow(PORTRAIT, "JPEG", progressive=True),
    "cmyk": lambda: pillow(PORTRAIT, "JPEG", "CMYK", quality=95),
    "webp": lambda: pillow(PORTRAIT, "WEBP", quality=95),
    "webp-lossless": lambda: pillow(PORTRAIT, "WEBP", lossless=True),
    "palette": lambda: pillow(PORTRAIT, "PNG", "P"),
    "16-bit": sixteen_bits,
}


@cache
def encoded(form: str) -> bytes:
    """Return the portrait in a form, encoded when a test first asks for it."""
    return ENCODERS[form]()


@pytest.mark.parametrize(
    ("form", "content_type"),
    [
        ("png", "image/png"),
        ("jpeg", "image/jpeg"),
        ("progressive", "image/jpeg"),
        ("cmyk", "image/jpeg"),
        ("webp", "image/webp"),
        ("webp-lossless", "image/webp"),
        ("palette", "image/png"),
        ("16-bit", "image/png"),
    ],
)
def test_decode_gives_the_same_rgb_for_every_form(form: str, content_type: str) -> None:
    picture = decode(encoded(form))
    assert picture.content_type == content_type
    assert picture.rgb.shape == (512, 512, 3)
    assert picture.rgb.dtype == np.uint8
    difference = picture.rgb.astype(int) - PORTRAIT[:, :, ::-1].astype(int)
    # The web palette of 216 colours is coarse; everything else is close.
    assert np.abs(difference).mean() < (16 if form == "palette" else 8)


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_decode_turns_upright_by_exif(form: str) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    picture = decode(pillow(WIDE, form, exif=exif))
    assert (picture.width, picture.height) == (300, 512)
    upright = np.rot90(WIDE[:, :, ::-1], -1)
    assert np.abs(picture.rgb.astype(int) - upright.astype(int)).mean() < 8


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_decode_turns_transparent_pictures_as_it_turns_opaque_ones(form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    opaque = Image.fromarray(np.ascontiguousarray(WIDE[:, :, ::-1]))
    clear = opaque.convert("RGBA")
    clear.putalpha(254)
    wanted, found = (decode(pillow_image(image, form, exif=exif)) for image in (opaque, clear))
    assert wanted.rgb.shape == found.rgb.shape
    assert np.abs(wanted.rgb.astype(int) - found.rgb.astype(int)).max() <= 2
    assert found.straight is not None
    assert found.straight[1].shape == found.grey.shape


@pytest.mark.parametrize(
    "exif", [b"II*", b"MM\x00*\xff\xff\xff\xff", b"II*\x00\x08\x00\x00\x00\xff\xff", b"no"]
)
def test_decode_takes_no_notice_of_broken_exif(exif: bytes) -> None:
    assert upright(with_exif(pillow(WIDE, "PNG", "RGBA"), exif), WIDE) is WIDE


def with_exif(content: bytes, exif: bytes) -> bytes:
    """Put a block of EXIF behind the header of a PNG."""
    checksum = zlib.crc32(b"eXIf" + exif).to_bytes(4, "big")
    return content[:33] + len(exif).to_bytes(4, "big") + b"eXIf" + exif + checksum + content[33:]


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_decode_lays_transparency_on_white(form: str) -> None:
    image = Image.fromarray(np.ascontiguousarray(PORTRAIT[:, :, ::-1])).convert("RGBA")
    image.putalpha(0)
    picture = decode(pillow_image(image, form))
    assert (picture.rgb == 255).all()


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_decode_accepts_grey_with_a_foreign_colour_profile(mode: str) -> None:
    image = Image.fromarray(np.ascontiguousarray(PORTRAIT[:, :, ::-1])).convert(mode)
    picture = decode(pillow_image(image, "PNG"))
    assert picture.rgb.shape == (512, 512, 3)
    assert (picture.rgb[..., 0] == picture.rgb[..., 2]).all()


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95, 0.999])
@pytest.mark.parametrize("form", ["png", "jpeg", "progressive", "webp", "webp-lossless"])
def test_decode_refuses_truncated(form: str, share: float) -> None:
    content = encoded(form)
    with pytest.raises(NotDecodable):
        decode(content[: int(len(content) * share)])


@pytest.mark.parametrize("progressive", [False, True])
def test_decode_refuses_truncated_jpeg_that_was_closed_again(progressive: bool) -> None:
    content = pillow(PORTRAIT, "JPEG", quality=90, progressive=progressive)
    with pytest.raises(NotDecodable, match="corrupt_or_truncated"):
        decode(content[: len(content) // 2] + b"\xff\xd9")


def test_decode_refuses_a_hundred_megapixels_from_the_header() -> None:
    with pytest.raises(NotDecodable, match="too_many_pixels"):
        decode(png_bomb(10_000, 10_000))
    with pytest.raises(NotDecodable, match="too_many_pixels"):
        read_header(png_bomb(10_000, 10_000)[:40])


def test_decode_refuses_a_header_that_promises_more_than_there_is() -> None:
    with pytest.raises(NotDecodable):
        decode(png_bomb(3_000, 3_000))


@pytest.mark.parametrize("content", [b"", b"hello", pillow(PORTRAIT, "GIF", "P"), pillow(PORTRAIT, "BMP")])
def test_decode_refuses_other_formats(content: bytes) -> None:
    with pytest.raises(NotDecodable, match="unknown_format"):
        decode(content)


SMALL = np.ascontiguousarray(PORTRAIT[::16, ::16])


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([png(SMALL), jpeg(SMALL, 80), pillow(SMALL, "WEBP")]),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_decode_survives_any_damage(content: bytes, damage: list[tuple[int, int]]) -> None:
    damaged = bytearray(content)
    for position, value in damage:
        damaged[position % len(damaged)] = value
    try:
        picture = decode(bytes(damaged))
    except NotDecodable:
        return
    assert picture.rgb.dtype == np.uint8
    assert picture.rgb.shape[2] == 3


def pillow_image(image: Image.Image, form: str, **options: object) -> bytes:
    import io

    stream = io.BytesIO()
    webp = {"lossless": True, "exact": True, "method": 0}
    image.save(stream, form, **(webp if form == "WEBP" else {}), **options)
    return stream.getvalue()
