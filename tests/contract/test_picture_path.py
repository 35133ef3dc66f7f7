"""Files that the router lets pass and the scorer decodes are finished; the reason of the rest is the scorer's."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from services.delivery.clients.images import finish_image
from services.scorer.vision.decode import NotDecodable, decode
from tests.support.builders import picture_files as files
from winnow.pictures.reader import read_structure
from winnow.pictures.structure import BadStructure

PIXELS_MAX = 40_000_000
WHOLE = {f"{kind} {name}": files.file_of(kind, name, 96, 64) for kind, name in files.FORMS}
PNG = WHOLE["PNG RGB"]


def finished_if_scored(content: bytes) -> bool:
    """Return whether a file passed both; raises what finishing raises for it."""
    try:
        read_structure(content)
        decode(content)
    except (BadStructure, NotDecodable):
        return False
    output = finish_image(content, PIXELS_MAX, 64).output
    with Image.open(io.BytesIO(output.content)) as image:
        image.load()
        assert image.size == (output.width, output.height)
    return True


@pytest.mark.parametrize("content", WHOLE.values(), ids=WHOLE)
def test_every_form_is_finished(content: bytes) -> None:
    assert finished_if_scored(content)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(WHOLE)),
    st.lists(st.tuples(st.integers(0, 900), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_a_damaged_file_that_is_scored_is_finished(name: str, damage: list[tuple[int, int]]) -> None:
    damaged = bytearray(WHOLE[name])
    for position, value in damage:
        damaged[position % len(damaged)] = value
    finished_if_scored(bytes(damaged))


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(
        [b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"pHYs", b"gAMA", b"cHRM", b"sRGB", b"tIME", b"zzZz"]
    ),
    st.binary(max_size=40),
    st.sampled_from(sorted(name for name in WHOLE if name.startswith("PNG"))),
)
def test_a_png_with_any_chunk_that_is_scored_is_finished(kind: bytes, body: bytes, name: str) -> None:
    finished_if_scored(files.with_png_chunk(WHOLE[name], kind, body))


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0xE0, 0xFE).filter(lambda marker: marker < 0xF0 or marker == 0xFE),
    st.sampled_from(
        [b"", b"JFIF\0", b"Exif\0\0", b"ICC_PROFILE\0\1\1", b"Adobe", b"Photoshop 3.0\0", b"MPF\0", b"FPXR\0"]
    ),
    st.binary(max_size=40),
    st.sampled_from(sorted(name for name in WHOLE if name.startswith("JPEG"))),
)
def test_a_jpeg_with_any_segment_that_is_scored_is_finished(
    marker: int, head: bytes, body: bytes, name: str
) -> None:
    finished_if_scored(files.with_jpeg_segment(WHOLE[name], marker, head + body))


@pytest.mark.parametrize("kind", [b"pHYs", b"gAMA", b"cHRM", b"sRGB", b"iCCP"])
def test_a_broken_chunk_that_no_pixel_needs_changes_nothing(kind: bytes) -> None:
    spoilt = files.with_png_chunk(PNG, kind, b"\x01")
    assert finished_if_scored(spoilt)
    assert finish_image(spoilt, PIXELS_MAX, 64) == finish_image(PNG, PIXELS_MAX, 64)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "exif", [b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0no", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"]
)
def test_broken_exif_changes_nothing(kind: str, exif: bytes) -> None:
    content = files.saved(files.drawing("RGB", 96, 64), kind, exif=exif)
    plain = files.saved(files.drawing("RGB", 96, 64), kind)
    assert finished_if_scored(content)
    assert finish_image(content, PIXELS_MAX, 64) == finish_image(plain, PIXELS_MAX, 64)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("share", [0.3, 0.4, 0.6, 0.9, 0.999])
def test_a_picture_that_is_cut_short_passes_the_router_and_not_the_scorer(name: str, share: float) -> None:
    content = WHOLE[name]
    cut = content[: int(len(content) * share)]
    try:
        assert not read_structure(cut).is_whole
    except BadStructure as refused:
        assert refused.reason == "cut_short", name
    with pytest.raises(NotDecodable):
        decode(cut)


@pytest.mark.parametrize("kind", ["JPEG plain", "JPEG progressive"])
def test_what_hides_between_the_pixels_and_the_end_is_refused_by_the_scorer(kind: str) -> None:
    content = WHOLE[kind]
    hidden = content[:-2] + b"PK\x03\x04 secret" * 20 + content[-2:]
    assert read_structure(hidden).is_whole
    for luminance_only in (False, True):
        with pytest.raises(NotDecodable, match="corrupt_or_truncated"):
            decode(hidden, luminance_only=luminance_only)


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (60_000, 700)])
def test_a_bomb_that_the_router_lets_pass_is_refused_before_it_is_decoded(width: int, height: int) -> None:
    for content in (files.png_of_size(width, height), files.jpeg_of_size(WHOLE["JPEG plain"], width, height)):
        with pytest.raises(NotDecodable, match="too_many_pixels"):
            decode(content)


def test_the_chunk_of_a_film_is_refused_by_both() -> None:
    film = files.with_png_chunk(PNG, b"acTL", struct.pack(">II", 1, 0))
    with pytest.raises(BadStructure, match="animated"):
        read_structure(film)
    with pytest.raises(NotDecodable, match="animated"):
        decode(film)
