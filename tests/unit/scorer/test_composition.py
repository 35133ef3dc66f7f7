"""Composition and cut-out of a subject, on drawings whose truth is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage.color import deltaE_ciede2000

from services.scorer.domain.measures import Measurement
from services.scorer.engine.measure import measure_bytes
from services.scorer.vision.colour import ciede2000, lab_of
from tests.support.opencv import decoded
from tests.support.profiles import built_in_profiles
from tests.unit.scorer.loaded import loaded_models
from tests.unit.scorer.photographs import BGR, jpeg, png
from winnow.contracts.values import MeasureStatus

PRODUCT = frozenset({"subject_margins", "subject_cut", "ground_evenness", "ground_to_white"})
REMOVAL = frozenset({"alpha_edges", "alpha_holes", "alpha_halo"})


def take(content: bytes, wanted: frozenset[str]) -> dict[str, Measurement]:
    return measure_bytes(content, wanted, loaded_models()).by_name()


def ball(
    x: int = 200, y: int = 200, ground: tuple[int, int, int] = (255, 255, 255), radius: int = 100
) -> BGR:
    picture = np.full((400, 400, 3), ground, np.uint8)
    cv2.circle(picture, (x, y), radius, (40, 90, 160), -1, cv2.LINE_AA)
    return picture


def raw(found: dict[str, Measurement], name: str) -> float:
    value = found[name].raw
    assert value is not None, found[name]
    return value


def test_ciede2000_agrees_with_an_independent_implementation() -> None:
    rng = np.random.default_rng(3)
    left, other = (rng.uniform((0, -90, -90), (100, 90, 90), (500, 3)) for _ in range(2))
    assert np.allclose(ciede2000(left, other), deltaE_ciede2000(left, other), atol=1e-6)
    # A pair of the authors' own table, and one without chroma.
    assert ciede2000(np.array([50, 2.6772, -79.7751]), np.array([50, 0, -82.7485])) == pytest.approx(
        2.0425, abs=1e-4
    )
    assert ciede2000(np.array([100.0, 0, 0]), np.array([100.0, 0, 0])) == 0


def test_lab_of_white_black_and_red() -> None:
    lab = lab_of(np.array([[[255, 255, 255], [0, 0, 0], [255, 0, 0]]], np.uint8))[0]
    wanted = np.array([[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.2]])
    assert np.allclose(lab, wanted, atol=0.3)


@pytest.mark.parametrize(("x", "margin"), [(200, 0.25), (150, 0.125), (120, 0.05)])
def test_margins_are_the_room_that_was_left(x: int, margin: float) -> None:
    found = take(png(ball(x)), PRODUCT)
    assert raw(found, "subject_margins") == pytest.approx(margin, abs=0.015)
    assert raw(found, "subject_cut") == 0


@pytest.mark.parametrize(("x", "at_least"), [(90, 0.02), (60, 0.07), (20, 0.1)])
def test_cut_subject_covers_a_part_of_the_border(x: int, at_least: float) -> None:
    found = take(png(ball(x)), PRODUCT)
    assert raw(found, "subject_margins") == 0
    assert raw(found, "subject_cut") >= at_least


def test_ground_is_told_from_white_and_by_its_colour() -> None:
    white = take(png(ball()), PRODUCT)
    assert raw(white, "ground_to_white") < 0.1
    assert white["ground_to_white"].evidence["colour"] == "#ffffff"
    cream = take(png(ball(ground=(225, 245, 250))), PRODUCT)
    assert 5 < raw(cream, "ground_to_white") < 12
    assert cream["ground_to_white"].evidence["colour"] == "#faf5e1"
    assert raw(take(png(ball(ground=(120, 120, 120))), PRODUCT), "ground_to_white") > 30


def test_uneven_ground_grows_with_its_strength() -> None:
    spreads = []
    for strength in (0, 30, 60):
        picture = ball(ground=(230, 230, 230)).astype(np.int16)
        picture -= (np.linspace(0, strength, 400)[:, None, None]).astype(np.int16)
        spreads.append(raw(take(png(picture.clip(0, 255).astype(np.uint8)), PRODUCT), "ground_evenness"))
    assert spreads == sorted(spreads)
    # From L* 91 down to 70; a difference of 10.6 at L* 80 is 7.1 by CIEDE2000.
    assert spreads[0] < 1
    assert spreads[2] == pytest.approx(7.1, abs=0.8)


def test_without_a_subject_nothing_is_claimed() -> None:
    found = take(png(np.full((300, 300, 3), 200, np.uint8)), PRODUCT)
    assert {measurement.status for measurement in found.values()} == {MeasureStatus.failure_to_assess}


def cut_out(*, soft_px: float = 1.0, rim: tuple[int, int, int] | None = None, holes: int = 0) -> bytes:
    """Draw a disc with alpha; ``rim`` is the colour that the soft edge kept of an old ground."""
    y, x = np.mgrid[0:400, 0:400]
    inside = 120 - np.hypot(x - 200, y - 200)
    alpha = (255 * np.clip(inside / max(soft_px, 1e-3) + 0.5, 0, 1)).astype(np.uint8)
    colour = np.full((400, 400, 3), (40, 90, 160), np.uint8)
    if rim is not None:
        colour[inside < soft_px / 2] = rim
    rng = np.random.default_rng(1)
    for centre in rng.integers(140, 260, (holes, 2)):
        cv2.circle(alpha, tuple(int(v) for v in centre), 5, 0, -1)
    return png(np.dstack([colour, alpha]))


def test_clean_cut_out_passes_its_profile_dimensions() -> None:
    found = take(cut_out(soft_px=2), REMOVAL)
    assert raw(found, "alpha_edges") > 1.2
    assert raw(found, "alpha_holes") == 0
    assert raw(found, "alpha_halo") < 2


def test_edges_fail_as_a_staircase_and_as_a_smear() -> None:
    assert raw(take(cut_out(soft_px=0), REMOVAL), "alpha_edges") < 0.3
    margins = [raw(take(cut_out(soft_px=width), REMOVAL), "alpha_edges") for width in (4, 8, 16, 32)]
    assert margins == sorted(margins, reverse=True)
    assert margins[-1] < 0.5


def test_holes_grow_with_their_number_and_a_large_opening_is_none() -> None:
    shares = [raw(take(cut_out(soft_px=2, holes=count), REMOVAL), "alpha_holes") for count in (0, 4, 16)]
    assert shares == sorted(shares)
    assert shares[2] > 0.006
    opened = decoded(cut_out(soft_px=2), cv2.IMREAD_UNCHANGED)
    cv2.circle(opened, (200, 200), 50, (0, 0, 0, 0), -1)
    assert raw(take(png(opened), REMOVAL), "alpha_holes") == 0


def test_halo_grows_with_the_old_grounds_contrast() -> None:
    halos = [
        raw(take(cut_out(soft_px=4, rim=rim), REMOVAL), "alpha_halo")
        for rim in ((40, 90, 160), (70, 120, 190), (255, 255, 255))
    ]
    assert halos == sorted(halos)
    assert halos[0] < 2
    assert halos[2] > 30


def test_opaque_picture_is_no_cut_out() -> None:
    found = take(jpeg(ball(), 90), REMOVAL)
    assert {measurement.status for measurement in found.values()} == {MeasureStatus.failure_to_assess}
    assert built_in_profiles().get("background_removal").wanted() >= REMOVAL
