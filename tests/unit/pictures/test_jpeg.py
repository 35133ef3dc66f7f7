"""A JPEG without its metadata has the same pixels and nothing else, or is encoded again."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.support.builders import picture_files as files
from winnow.pictures.jpeg import segments, without_metadata
from winnow.pictures.reader import read_structure

COLOURED = [
    name
    for name, (mode, options) in files.JPEG_OPTIONS.items()
    if mode == "RGB" and "keep_rgb" not in options
]
PIXELS_AND_NO_MORE = {0xC0, 0xC2, 0xC4, 0xD9, 0xDA, 0xDB, 0xDD, 0xE0}
SECRET = b"secret"


def pixels(content: bytes) -> bytes:
    with Image.open(io.BytesIO(content)) as image:
        assert image.mode == "RGB"
        return image.tobytes()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(COLOURED), st.integers(1, 70), st.integers(1, 70))
def test_the_pixels_stay_and_all_metadata_goes(name: str, width: int, height: int) -> None:
    _, options = files.JPEG_OPTIONS[name]
    content = files.saved(files.drawing("RGB", width, height), "JPEG", **options, **files.metadata("JPEG"))
    assert content.count(SECRET) == 3
    found = without_metadata(content)
    assert found is not None
    assert pixels(found) == pixels(content)
    assert SECRET not in found
    assert {segment.marker for segment in segments(found)} <= PIXELS_AND_NO_MORE
    assert read_structure(found) == read_structure(content)
    with Image.open(io.BytesIO(found)) as image:
        assert set(image.info) <= {
            "jfif",
            "jfif_version",
            "jfif_unit",
            "jfif_density",
            "progressive",
            "progression",
        }
        assert image.info["jfif_density"] == (1, 1)
    assert without_metadata(found) == found


@pytest.mark.parametrize("marker", [*range(0xE0, 0xF0), 0xFE])
def test_no_segment_of_an_application_stays(marker: int) -> None:
    content = files.file_of("JPEG", "plain")
    found = without_metadata(files.with_jpeg_segment(content, marker, SECRET * 10))
    assert found == without_metadata(content)


def test_bytes_behind_the_end_go() -> None:
    content = files.file_of("JPEG", "plain")
    assert without_metadata(content + SECRET) == without_metadata(content)


@pytest.mark.parametrize("name", ["grey", "four inks", "stored as red, green, blue"])
def test_other_colours_are_encoded_again(name: str) -> None:
    assert without_metadata(files.file_of("JPEG", name)) is None


def test_a_profile_decides_how_a_picture_looks() -> None:
    options = files.metadata("JPEG", profile=True)
    assert without_metadata(files.saved(files.drawing("RGB", 20, 20), "JPEG", **options)) is None


def without_jfif(content: bytes) -> bytes:
    assert content[2:4] == b"\xff\xe0"
    return content[:2] + content[20:]


def test_colours_are_known_by_a_header_or_by_the_numbers_of_the_components() -> None:
    content = without_jfif(files.file_of("JPEG", "plain"))
    found = without_metadata(content)
    assert found is not None
    assert pixels(found) == pixels(content)
    adobe = b"Adobe\x00\x64\x00\x00\x00\x00"
    assert without_metadata(files.with_jpeg_segment(content, 0xEE, adobe + b"\x01")) == found
    assert without_metadata(files.with_jpeg_segment(content, 0xEE, adobe + b"\x00")) is None
    frame = content.index(b"\xff\xc0") + 10
    others = bytearray(content)
    scan = content.index(b"\xff\xda") + 5
    for index, letter in enumerate(b"RGB"):
        others[frame + 3 * index] = others[scan + 2 * index] = letter
    assert without_metadata(bytes(others)) is None


def with_hidden(content: bytes, marker: bytes, hidden: bytes) -> bytes:
    """Lengthen a segment by bytes that it does not declare."""
    at = content.index(marker)
    length = int.from_bytes(content[at + 2 : at + 4], "big")
    end = at + 2 + length
    return (
        content[: at + 2]
        + (length + len(hidden)).to_bytes(2, "big")
        + content[at + 4 : end]
        + hidden
        + content[end:]
    )


@pytest.mark.parametrize("marker", [b"\xff\xdb", b"\xff\xc4", b"\xff\xc0", b"\xff\xda", b"\xff\xdd"])
def test_nothing_hides_behind_a_table(marker: bytes) -> None:
    content = files.file_of("JPEG", "restarts by row")
    assert without_metadata(content) is not None
    for hidden in (b"\x00", SECRET, b"\x20" * 65):
        assert without_metadata(with_hidden(content, marker, hidden)) is None


@pytest.mark.parametrize("length", [0, 2, 30, 400, -200, -2, -1])
def test_a_file_that_is_cut_short_is_not_copied(length: int) -> None:
    assert without_metadata(files.file_of("JPEG", "plain")[:length]) is None


def test_a_picture_of_very_many_scans_is_encoded_again() -> None:
    content = files.file_of("JPEG", "progressive")
    last = [segment for segment in segments(content) if segment.marker == 0xDA][-1]
    scan = content[last.start : last.end]
    assert without_metadata(content) is not None
    assert without_metadata(content[:-2] + scan * 32 + content[-2:]) is None


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([files.file_of("JPEG", name) for name in files.JPEG_OPTIONS]),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_any_damage_gives_a_whole_file_or_none(content: bytes, damage: list[tuple[int, int]]) -> None:
    damaged = bytearray(content)
    for position, value in damage:
        damaged[position % len(damaged)] = value
    found = without_metadata(bytes(damaged))
    if found is not None:
        assert read_structure(found).is_whole
