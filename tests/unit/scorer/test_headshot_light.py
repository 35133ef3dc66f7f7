"""Light, skin and likeness of a portrait that was changed by a known amount."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from services.scorer.dimensions.skin import evenness, stops
from services.scorer.vision.model_set import Models
from tests.support.opencv import pixels
from tests.unit.scorer.headshots import PORTRAIT, covered_eyes, raw, take
from tests.unit.scorer.photographs import blurred, exposed, photograph, png
from winnow.contracts.values import MeasureStatus


def test_evenness_is_the_shared_area_of_the_histograms() -> None:
    dark, light = np.full((500, 3), 40, np.uint8), np.full((500, 3), 200, np.uint8)
    assert evenness(dark, dark) == pytest.approx(1)
    assert evenness(dark, light) == 0
    assert evenness(np.concatenate([dark, light]), dark) == pytest.approx(0.5)


def test_light_from_one_side_is_less_even(models: Models) -> None:
    ramp = np.clip((235 - np.arange(512)) / 20, 0.2, 1.0)[None, :, None]
    assert (
        raw(models, "lighting_evenness", (PORTRAIT * ramp).astype(np.uint8))
        < raw(models, "lighting_evenness", PORTRAIT) - 0.1
    )


@pytest.mark.parametrize("shift_stops", [-3, -2, -1, 0.2])
def test_skin_tone_reads_the_stops_that_were_taken(models: Models, shift_stops: float) -> None:
    taken = take(models, "skin_tone_shift", exposed(PORTRAIT, shift_stops))
    assert taken.evidence["shift_stops"] == pytest.approx(shift_stops, abs=0.15)


def test_clipped_skin_cannot_be_compared(models: Models) -> None:
    taken = take(models, "skin_tone_shift", exposed(PORTRAIT, 2))
    assert taken.status is MeasureStatus.failure_to_assess
    assert taken.evidence["reason"] == "skin_clipped"


def test_stops_of_white_and_of_half_the_light() -> None:
    assert stops(np.full((9, 3), 255, np.uint8)) == pytest.approx(0, abs=1e-6)
    assert stops(np.full((9, 3), 188, np.uint8)) == pytest.approx(-1, abs=0.02)


def test_natural_colour_refuses_tint_and_grey_and_takes_skin(models: Models) -> None:
    blue = np.clip(PORTRAIT * np.array([1.5, 0.9, 0.6]), 0, 255).astype(np.uint8)
    grey = pixels(cv2.cvtColor(cv2.cvtColor(PORTRAIT, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR))
    assert raw(models, "natural_colour", PORTRAIT) == 0
    assert raw(models, "natural_colour", exposed(PORTRAIT, -2)) == 0
    assert raw(models, "natural_colour", blue) == 100
    assert raw(models, "natural_colour", grey) == 100


def test_face_sharpness_falls_with_blur(models: Models) -> None:
    readings = [raw(models, "face_sharpness", blurred(PORTRAIT, sigma)) for sigma in (0.01, 1, 2, 3)]
    assert readings == sorted(readings, reverse=True)


def test_identity_is_near_for_the_same_face_and_far_for_hidden_eyes(models: Models) -> None:
    assert raw(models, "identity_distance", PORTRAIT) == pytest.approx(0, abs=1e-5)
    assert raw(models, "identity_distance", PORTRAIT[:, ::-1]) < 0.2
    assert raw(models, "identity_distance", exposed(PORTRAIT, -2)) < 0.2
    assert raw(models, "identity_distance", covered_eyes(PORTRAIT)) > 0.5


def test_likeness_without_a_reference_does_not_apply(models: Models) -> None:
    for name in ("identity_distance", "skin_tone_shift"):
        assert take(models, name, PORTRAIT, None).status is MeasureStatus.not_applicable


def test_likeness_to_a_reference_without_a_face_is_failure_to_assess(models: Models) -> None:
    for reference in (png(photograph("chelsea.png")), b"no picture"):
        taken = take(models, "identity_distance", PORTRAIT, reference)
        assert taken.evidence["reason"] == "no_face_in_reference"
