"""The structure of a file says what a decoder says of it, and nothing else is taken for a picture."""

from __future__ import annotations

import gzip
import io
import struct
import time
import zipfile
import zlib
from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.support.builders import picture_files as files
from winnow.pictures.png import INFLATED_MAX, SIGNATURE
from winnow.pictures.reader import read_structure
from winnow.pictures.structure import BadStructure, CutShort, Structure

TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
WHOLE = [files.file_of(kind, name) for kind, name in files.FORMS]
NAMES = [f"{kind} {name}" for kind, name in files.FORMS]
JPEG, PNG, WEBP = (files.file_of(kind, "RGB" if kind == "PNG" else name) for kind, name in (
    ("JPEG", "plain"), ("PNG", "RGB"), ("WEBP", "lossy with alpha")
))  # fmt: skip


def refusal(content: bytes) -> str:
    with pytest.raises(BadStructure) as refused:
        read_structure(content)
    return refused.value.reason


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(files.FORMS)),
    st.integers(1, 70),
    st.integers(1, 70),
    st.integers(1, 8),
    st.booleans(),
    st.booleans(),
)
def test_a_valid_file_is_read_as_the_decoder_reads_it(
    form: tuple[str, str], width: int, height: int, orientation: int, has_metadata: bool, has_profile: bool
) -> None:
    kind, name = form
    mode, options = files.FORMS[form]
    more = files.metadata(kind, orientation, profile=has_profile and mode == "RGB") if has_metadata else {}
    content = files.saved(files.drawing(mode, width, height), kind, **options, **more)
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        found = Structure(TYPES[image.format or ""], *image.size, is_whole=True)
    assert read_structure(content) == found == Structure(TYPES[kind], width, height, is_whole=True), name


@pytest.mark.parametrize("extension", [".jpg", ".png", ".webp"])
def test_files_of_another_encoder_are_read(extension: str) -> None:
    picture = np.asarray(files.drawing("RGB", 61, 43))
    for options in ([], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1], [cv2.IMWRITE_JPEG_RST_INTERVAL, 2]):
        content = cv2.imencode(extension, picture, options if extension == ".jpg" else [])[1].tobytes()
        found = read_structure(content)
        assert (found.width, found.height, found.is_whole) == (61, 43, True)


@pytest.mark.parametrize("content", WHOLE, ids=NAMES)
def test_a_file_cut_anywhere_is_not_whole_and_keeps_its_size(content: bytes) -> None:
    whole = read_structure(content)
    has_size = False
    for length in range(len(content)):
        try:
            found = read_structure(content[:length])
        except BadStructure as refused:
            assert not has_size, (length, refused.reason)
            continue
        has_size = True
        assert found == Structure(whole.content_type, whole.width, whole.height, is_whole=False)
    assert has_size


@pytest.mark.parametrize("content", WHOLE, ids=NAMES)
def test_bytes_behind_the_end_are_refused(content: bytes) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("index.html", "<script>alert(1)</script>")
    for behind in (b"\x00", b"\n", archive.getvalue(), content):
        assert refusal(content + behind) == "trailing_bytes"


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(WHOLE),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=6),
    st.one_of(st.none(), st.integers(0, 5000)),
)
def test_any_damage_is_read_or_refused_and_never_read_otherwise_than_by_the_decoder(
    content: bytes, damage: list[tuple[int, int]], cut: int | None
) -> None:
    damaged = bytearray(content)
    for position, value in damage:
        damaged[position % len(damaged)] = value
    damaged = damaged[:cut]
    try:
        found = read_structure(bytes(damaged))
    except BadStructure:
        return
    try:
        with Image.open(io.BytesIO(damaged), formats=list(TYPES)) as image:
            opened = (TYPES[image.format or ""], *image.size)
            image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, struct.error):
        return
    assert opened == (found.content_type, found.width, found.height)


@given(st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8\xff", SIGNATURE, b"RIFF\x40\0\0\0WEBP"]))
def test_any_bytes_are_read_or_refused(content: bytes, start: bytes) -> None:
    try:
        found = read_structure(start + content)
    except BadStructure as refused:
        assert refused.reason
    else:
        assert found.width * found.height > 0


OTHERS = {
    "nothing": b"",
    "a page": b"<html>402 Payment Required</html>",
    "svg": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
    "compressed svg": gzip.compress(b"<svg/>", mtime=0),
    "pdf": b"%PDF-1.7\n" + JPEG,
    "zip": b"PK\x03\x04" + JPEG,
    "a byte before": b"\x00" + PNG,
    "gif": files.saved(files.drawing("P", 8, 8), "GIF"),
    "bmp": files.saved(files.drawing("RGB", 8, 8), "BMP"),
    "tiff": files.saved(files.drawing("RGB", 8, 8), "TIFF"),
    "avi": b"RIFF\x04\x00\x00\x00AVI ",
}


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
def test_other_formats_are_refused_whatever_lies_in_them(content: bytes) -> None:
    assert refusal(content) == "unknown_format"


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
@pytest.mark.parametrize("frames", [3, 1000])
def test_moving_pictures_are_refused(kind: str, frames: int) -> None:
    assert refusal(files.animated(kind, frames)) == "animated"


def test_a_png_that_says_it_moves_is_refused_even_with_one_frame() -> None:
    assert refusal(files.with_png_chunk(PNG, b"acTL", struct.pack(">II", 1, 0))) == "animated"


def test_a_header_may_promise_what_it_likes_and_costs_nothing() -> None:
    started_s = time.process_time()
    for side in (30_000, 65_535):
        found = read_structure(files.jpeg_of_size(JPEG, side, side))
        assert (found.width, found.height) == (side, side)
        assert read_structure(files.png_of_size(side, side)).width == side
    assert time.process_time() - started_s < 0.1


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0), (0, 0), (2**31, 1)])
def test_a_picture_without_pixels_or_with_impossible_ones_is_refused(width: int, height: int) -> None:
    assert refusal(files.png_of_size(width, height)) == "broken_header"
    if width < 65_536:
        assert refusal(files.jpeg_of_size(JPEG, width, height)) == "broken_header"


@cache
def packed_zeros(mebibytes: int) -> bytes:
    """Return so many MiB of zeros and a byte more, packed; 256 MiB take most of a second."""
    return zlib.compress(bytes(mebibytes * 1024**2 + 1), 9)


def deflated(kind: bytes, mebibytes: int) -> bytes:
    """Return a chunk whose text or profile inflates to so many MiB of zeros, and a byte more."""
    head = {b"zTXt": b"note\x00\x00", b"iCCP": b"profile\x00\x00", b"iTXt": b"note\x00\x01\x00en\x00note\x00"}
    return head[kind] + packed_zeros(mebibytes)


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP", b"iTXt"])
def test_metadata_that_inflates_without_end_is_refused(kind: bytes) -> None:
    assert INFLATED_MAX == 1024**2
    assert refusal(files.with_png_chunk(PNG, kind, deflated(kind, 1))) == "metadata_inflates"
    started_s = time.process_time()
    assert refusal(files.with_png_chunk(PNG, kind, deflated(kind, 256))) == "metadata_inflates"
    assert time.process_time() - started_s < 3.0


def test_many_texts_that_inflate_together_are_refused() -> None:
    content = PNG
    for _ in range(9):
        content = files.with_png_chunk(content, b"zTXt", b"note\x00\x00" + zlib.compress(bytes(1_000_000)))
    assert refusal(content) == "metadata_inflates"


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP", b"iTXt"])
def test_metadata_that_does_not_inflate_is_left_alone(kind: bytes) -> None:
    for body in (b"", b"note", b"note\x00", b"note\x00\x01", b"note\x00\x01\x00a\x00b\x00broken", bytes(40)):
        assert read_structure(files.with_png_chunk(PNG, kind, body)).is_whole


def second_frame(content: bytes) -> bytes:
    at = content.index(b"\xff\xc0")
    return files.with_jpeg_segment(content, 0xC0, content[at + 4 : at + 19])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (JPEG[:2] + b"junk" + JPEG[2:], "unknown_format"),
        (JPEG[:4] + b"\x00\x01" + JPEG[6:], "broken_segment"),
        (JPEG[:20] + b"junk" + JPEG[20:], "no_marker"),
        (JPEG[:20] + b"\xff\xd8" + JPEG[20:], "unknown_marker"),
        (JPEG[:-2] + b"\xff\x01" + JPEG[-2:], "unknown_marker"),
        (second_frame(JPEG), "two_frames"),
        (JPEG[:20] + b"\xff\xd9", "no_pixels"),
        (files.with_jpeg_segment(JPEG, 0xE2, b"MPF\x00II*\x00"), "several_pictures"),
        (JPEG.replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c"), "broken_header"),
        (JPEG.replace(b"\xff\xc0", b"\xff\xc3"), "unknown_marker"),
        (JPEG[:-2] + JPEG[2:], "two_frames"),
        (JPEG[:2] + b"\xff\xfe\x00\x02" * 70_000 + JPEG[2:], "too_many_parts"),
        (PNG[:-12] + PNG[8:], "broken_header"),
        (PNG[:33] + PNG[-12:], "no_pixels"),
        (SIGNATURE + PNG[33:], "broken_header"),
        (PNG[:24] + b"\x03" + PNG[25:], "broken_header"),
        (PNG[:37] + b"ID\x00T" + PNG[41:], "broken_chunk"),
        (PNG[:33] + b"\xff" + PNG[34:], "broken_chunk"),
        (PNG[:33] + files.png_chunk(b"teXt", b"") * 70_000 + PNG[33:], "too_many_parts"),
        (WEBP[:12] + b"XMP " + WEBP[16:], "broken_header"),
        (WEBP[:24] + b"\x01" + WEBP[25:], "broken_header"),
        (WEBP[:20] + b"\x12" + WEBP[21:], "animated"),
        (b"RIFF\x0c\x00\x00\x00WEBPVP8 \x00\x00\x00\x00", "broken_header"),
        (
            b"RIFF\x16\x00\x00\x00WEBPVP8 \x0a\x00\x00\x00\x00\x00\x00\x9d\x01\x2a\x08\x00\x00\x00",
            "broken_header",
        ),
    ],
)
def test_broken_structures_are_refused_with_a_reason(content: bytes, reason: str) -> None:
    assert refusal(content) == reason


def test_fill_bytes_before_a_marker_are_read_over() -> None:
    assert read_structure(JPEG[:20] + b"\xff" * 1_000_000 + JPEG[20:]).is_whole
    assert read_structure(JPEG[:-2] + b"\xff" * 1_000_000 + JPEG[-2:]).is_whole


def test_a_header_that_is_cut_is_told() -> None:
    for content in (JPEG, PNG, WEBP):
        with pytest.raises(CutShort):
            read_structure(content[:19])
