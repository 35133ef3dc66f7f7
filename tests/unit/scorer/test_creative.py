"""An advertisement's measures on drawings whose truth is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from services.scorer.app.reference_inputs import requested_words
from services.scorer.dimensions.creative import CREATIVE
from services.scorer.domain.measures import Measurement
from services.scorer.domain.references import Wording
from services.scorer.engine.measure import measure_bytes
from services.scorer.vision.colour import ciede2000
from services.scorer.vision.model_set import Models
from services.scorer.vision.ocr import TextLine
from services.scorer.vision.text_layout import OTHERWISE, VERTICAL, covered, inside, legibility, safe_area
from tests.unit.scorer.fakes import PROFILES
from tests.unit.scorer.photographs import BGR, png
from winnow.contracts.values import MeasureStatus

# The test pairs of Sharma, Wu and Dalal 2005 (table 1): two colours in L*a*b*, and their distance.
SHARMA = (
    ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
    ((50, 3.1571, -77.2803), (50, 0, -82.7485), 2.8615),
    ((50, 2.8361, -74.0200), (50, 0, -82.7485), 3.4412),
    ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0000),
    ((50, -1.1848, -84.8006), (50, 0, -82.7485), 1.0000),
    ((50, -0.9009, -85.5211), (50, 0, -82.7485), 1.0000),
    ((50, 0, 0), (50, -1, 2), 2.3669),
    ((50, -1, 2), (50, 0, 0), 2.3669),
    ((50, 2.4900, -0.0010), (50, -2.4900, 0.0009), 7.1792),
    ((50, 2.4900, -0.0010), (50, -2.4900, 0.0010), 7.1792),
    ((50, 2.4900, -0.0010), (50, -2.4900, 0.0011), 7.2195),
    ((50, 2.4900, -0.0010), (50, -2.4900, 0.0012), 7.2195),
    ((50, -0.0010, 2.4900), (50, 0.0009, -2.4900), 4.8045),
    ((50, -0.0010, 2.4900), (50, 0.0010, -2.4900), 4.8045),
    ((50, -0.0010, 2.4900), (50, 0.0011, -2.4900), 4.7461),
    ((50, 2.5, 0), (50, 0, -2.5), 4.3065),
    ((50, 2.5, 0), (73, 25, -18), 27.1492),
    ((50, 2.5, 0), (61, -5, 29), 22.8977),
    ((50, 2.5, 0), (56, -27, -3), 31.9030),
    ((50, 2.5, 0), (58, 24, 15), 19.4535),
    ((50, 2.5, 0), (50, 3.1736, 0.5854), 1.0000),
    ((50, 2.5, 0), (50, 3.2972, 0), 1.0000),
    ((50, 2.5, 0), (50, 1.8634, 0.5757), 1.0000),
    ((50, 2.5, 0), (50, 3.2592, 0.3350), 1.0000),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((63.0109, -31.0961, -5.8663), (62.8187, -29.7946, -4.0864), 1.2630),
    ((61.2901, 3.7196, -5.3901), (61.4292, 2.2480, -4.9620), 1.8731),
    ((35.0831, -44.1164, 3.7933), (35.0232, -40.0716, 1.5901), 1.8645),
    ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ((36.4612, 47.8580, 18.3852), (36.2715, 50.5065, 21.2231), 1.4146),
    ((90.8027, -2.0831, 1.4410), (91.1528, -1.6435, 0.0447), 1.4441),
    ((90.9257, -0.5406, -0.9208), (88.6381, -0.8985, -0.7239), 1.5381),
    ((6.7747, -0.2908, -2.4247), (5.8714, -0.0985, -2.2286), 0.6377),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
)


@pytest.mark.parametrize(("colour", "other", "distance"), SHARMA)
def test_colour_distance_gives_the_published_values(
    colour: tuple[float, ...], other: tuple[float, ...], distance: float
) -> None:
    assert float(ciede2000(np.array(colour, float), np.array(other, float))) == pytest.approx(
        distance, abs=5e-5
    )


def poster(*lines: tuple[str, int, int], size: tuple[int, int] = (640, 640), ink: int = 20) -> BGR:
    """Draw lines of text (text, left, baseline) on a light ground of ``size`` (width, height)."""
    picture = np.full((size[1], size[0], 3), (200, 220, 230), np.uint8)
    for text, left, baseline in lines:
        cv2.putText(
            picture, text, (left, baseline), cv2.FONT_HERSHEY_DUPLEX, 1.4, (ink, ink, ink), 2, cv2.LINE_AA
        )
    return picture


def take(models: Models, picture: BGR, wanted: str, wording: Wording | None = None) -> Measurement:
    (taken,) = measure_bytes(
        png(picture), frozenset({wanted}), models, wording=wording or Wording()
    ).measurements
    return taken


@pytest.mark.parametrize(
    ("copy", "distance", "extra"),
    [("SUMMER SALE", 0, 0), ("WINTER SALE", 5 / 10, None), ("SUMMER", 0, 4 / 6)],
)
def test_copy_is_compared_with_what_is_read(
    models: Models, copy: str, distance: float, extra: float | None
) -> None:
    picture = poster(("SUMMER SALE", 120, 320))
    near = take(models, picture, "copy_distance", Wording(copy))
    assert near.raw == pytest.approx(distance, abs=0.11)
    if extra is not None:
        assert take(models, picture, "copy_extra", Wording(copy)).raw == pytest.approx(extra, abs=0.01)


def test_copy_that_is_not_there_is_missed_whole(models: Models) -> None:
    assert take(models, poster(), "copy_distance", Wording("SALE")).raw == 1.0


def test_what_was_not_ordered_is_not_asked(models: Models) -> None:
    wanted = frozenset({"copy_distance", "copy_extra", "brand_colour", "text_safe_zone", "text_legibility"})
    found = measure_bytes(png(poster()), wanted, models).by_name()
    assert {measurement.status for measurement in found.values()} == {MeasureStatus.not_applicable}


def test_areas_that_each_format_keeps_free() -> None:
    assert safe_area(1080, 1920) == VERTICAL
    assert safe_area(1000, 1500) == safe_area(1080, 1080) == safe_area(1920, 1080) == OTHERWISE
    kept = inside(VERTICAL, 1000, 500)
    rows, columns = np.flatnonzero(kept.any(axis=1)), np.flatnonzero(kept.any(axis=0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (140, 799, 30, 469)


def test_text_outside_the_safe_area_is_told_by_its_share(models: Models) -> None:
    size = (540, 960)
    within = take(models, poster(("SUMMER SALE", 120, 480), size=size), "text_safe_zone")
    below = take(models, poster(("SUMMER SALE", 120, 930), size=size), "text_safe_zone")
    half = take(
        models, poster(("SUMMER SALE", 120, 480), ("OPEN DAILY", 120, 930), size=size), "text_safe_zone"
    )
    assert (within.raw, below.raw) == (0, 1)
    assert half.raw == pytest.approx(0.5, abs=0.1)
    assert within.evidence["format"] == "vertical"


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float32)


def test_area_under_text_is_that_of_its_boxes() -> None:
    lines = [TextLine("one", 1.0, box(0, 0, 200, 100)), TextLine("two", 1.0, box(100, 0, 200, 100))]
    assert covered(lines, 400, 400).mean() == pytest.approx(200 * 100 / 400**2, rel=0.03)


@pytest.mark.parametrize(
    ("ink", "ground", "contrast"), [(0, 255, 21.0), (0x76, 255, 4.54), (0x95, 255, 2.98), (128, 128, 1.0)]
)
def test_contrast_is_that_of_the_guidelines(ink: int, ground: int, contrast: float) -> None:
    picture = np.full((360, 360, 3), ground, np.uint8)
    picture[110:130, 100:200:2] = picture[110:130, 101:200:4] = ink
    found = legibility(picture, TextLine("text", 1.0, box(95, 100, 205, 140)))
    assert found.contrast == pytest.approx(contrast, abs=0.02)
    assert found.height_px == pytest.approx(40)
    assert found.margin == pytest.approx(min(contrast / 3, 40 / 11), abs=0.01)


def test_small_text_needs_more_contrast_and_tiny_text_fails_by_its_height() -> None:
    picture = np.full((720, 720, 3), 255, np.uint8)
    picture[100:140, 100:200:2] = 0x76
    small = legibility(picture, TextLine("text", 1.0, box(95, 98, 205, 138)))
    assert small.height_px == pytest.approx(20)
    assert small.margin == pytest.approx(4.54 / 4.5, abs=0.01)
    picture[100:118, 100:200:2] = 0
    assert legibility(picture, TextLine("text", 1.0, box(95, 98, 205, 114))).margin == pytest.approx(
        8 / 11, abs=0.01
    )


def test_the_least_legible_line_of_the_copy_counts_and_other_lines_do_not(models: Models) -> None:
    picture = poster(("SUMMER SALE", 120, 320))
    cv2.putText(picture, "tiny legal notice", (120, 600), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (150, 160, 170), 1)
    clear = take(models, picture, "text_legibility", Wording("SUMMER SALE"))
    assert clear.raw is not None
    assert clear.raw > 1.5
    faint = take(
        models, poster(("SUMMER SALE", 120, 320), ink=165), "text_legibility", Wording("SUMMER SALE")
    )
    assert faint.raw is not None
    assert faint.raw < 0.7


@pytest.mark.parametrize(
    ("colours", "low", "high"), [(("#e4002b",), 0, 1), (("#e4002b", "#00aa44"), 20, 120)]
)
def test_brand_colours_are_found_and_the_one_that_is_missed_counts(
    models: Models, colours: tuple[str, ...], low: float, high: float
) -> None:
    picture = poster()
    cv2.circle(picture, (320, 320), 40, (0x2B, 0x00, 0xE4), -1)
    found = take(models, picture, "brand_colour", Wording(brand_colours=colours))
    assert found.raw is not None
    assert low <= found.raw <= high
    assert found.evidence["colour"] == colours[-1]


@pytest.mark.parametrize(("x", "low", "high"), [(200, 0, 0.05), (20, 0.3, 1)])
def test_a_subject_at_the_border_stands_outside_the_safe_area(
    models: Models, x: int, low: float, high: float
) -> None:
    picture = np.full((400, 400, 3), (225, 225, 225), np.uint8)
    cv2.circle(picture, (x, 200), 40, (30, 60, 170), -1, cv2.LINE_AA)
    found = take(models, picture, "subject_safe_zone")
    assert found.raw is not None
    assert low <= found.raw <= high, found


def test_a_request_gives_its_wording_and_what_is_no_colour_is_left_out() -> None:
    body = b'{"prompt": "p", "copy_text": "SALE", "brand_colours": ["#E4002B", "red", 7, "#12345"]}'
    assert requested_words(body).wording == Wording("SALE", ("#E4002B",))
    assert (
        requested_words(b'{"prompt": "p", "copy_text": 7, "brand_colours": "#e4002b"}').wording == Wording()
    )
    assert repr(Wording("SALE", ("#e4002b",))) == "Wording()"


def test_every_measure_of_the_family_is_asked_for_by_a_profile() -> None:
    asked = PROFILES.get("ad_creative").wanted() | PROFILES.get("product").wanted()
    assert asked >= set(CREATIVE)
