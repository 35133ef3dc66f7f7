"""Measures on real photographs and their controlled degradations, judged by the built-in profiles."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from services.scorer.domain import judge
from services.scorer.domain.measures import TIERS
from services.scorer.domain.references import Wording
from services.scorer.engine.measure import measure_bytes
from services.scorer.inference.models import (
    FACE_LANDMARKER_SHA256,
    ModelMissing,
    load_face_models,
    model_versions,
)
from services.scorer.vision.model_set import FACE_LANDMARKER, TEXT_DETECTOR, TEXT_READER, Models
from tests.unit.scorer.answers import ANSWERS
from tests.unit.scorer.judged_pictures import GENERAL, PORTRAIT, PROFILES, failed, resized, score, status
from tests.unit.scorer.loaded import loaded_models
from tests.unit.scorer.photographs import BGR, blurred, exposed, jpeg, moved, noisy, photograph, png, upscaled
from winnow.contracts.values import MeasureStatus


def test_clean_portrait_passes_everything() -> None:
    found = score(png(PORTRAIT))
    assert found.passed, found.reasons
    assert found.score > 90


def test_mirrored_half_size_and_turned_portraits_pass() -> None:
    turned = cv2.warpAffine(
        PORTRAIT, cv2.getRotationMatrix2D((224, 120), 12, 1), (512, 512), borderMode=cv2.BORDER_REFLECT
    )
    for picture in (PORTRAIT[:, ::-1], turned):
        assert score(png(np.ascontiguousarray(picture))).passed


DEGRADED: dict[str, tuple[Callable[[BGR], bytes], set[str]]] = {
    "gaussian sigma 2": (lambda p: png(blurred(p, 2)), {"sharpness"}),
    "gaussian sigma 5": (lambda p: png(blurred(p, 5)), {"sharpness", "eyes_open"}),
    "motion 15 px": (lambda p: png(moved(p, 15)), {"sharpness"}),
    "upscaled 4x": (lambda p: png(upscaled(p, 4)), {"sharpness", "resolution"}),
    "jpeg quality 20": (lambda p: jpeg(p, 20), {"blockiness"}),
    "noise sigma 15": (lambda p: png(noisy(p, 15)), {"noise"}),
    "blur 2 and noise 8": (lambda p: png(noisy(blurred(p, 2), 8)), {"sharpness"}),
    "two faces": (lambda p: png(np.hstack([p, p])), {"face_count"}),
    "cat": (lambda _: png(photograph("chelsea.png")), {"face_count"}),
    "cut through the face": (lambda p: png(p[:, 215:]), {"face_framing"}),
    "cut through the head": (lambda p: png(p[90:]), {"face_framing"}),
    "under by 3 stops": (lambda p: png(exposed(p, -3)), {"exposure"}),
    "over by 2 stops": (lambda p: png(exposed(p, 2)), {"exposure"}),
    "over by 3 stops, where no face is left": (lambda p: png(exposed(p, 3)), {"face_count"}),
    "small": (lambda p: png(resized(p, 200)), {"resolution"}),
}


@pytest.mark.parametrize("name", DEGRADED)
def test_portrait_fails_in_the_dimension_that_was_degraded(name: str) -> None:
    make, expected = DEGRADED[name]
    found = score(make(np.ascontiguousarray(PORTRAIT)))
    assert not found.passed
    assert expected <= failed(found), found.reasons


@pytest.mark.parametrize(
    "content",
    [jpeg(PORTRAIT, 90), png(exposed(PORTRAIT, -1)), png(exposed(PORTRAIT, 0.5)), png(noisy(PORTRAIT, 4))],
)
def test_portrait_still_passes_when_it_is_only_a_little_off(content: bytes) -> None:
    assert score(content).passed


def test_eyes_are_assessed_under_mild_blur_and_not_under_strong() -> None:
    assert status(score(png(blurred(PORTRAIT, 2))), "eyes_open") is MeasureStatus.ok
    assert status(score(png(blurred(PORTRAIT, 5))), "eyes_open") is MeasureStatus.failure_to_assess


def test_eyes_without_a_face_are_failure_to_assess() -> None:
    assert status(score(png(photograph("chelsea.png"))), "eyes_open") is MeasureStatus.failure_to_assess


def test_missing_model_makes_its_dimensions_unavailable_and_never_a_pass() -> None:
    profile = PROFILES.get("headshot")
    measured = measure_bytes(png(PORTRAIT), profile.wanted(), Models(without=frozenset({FACE_LANDMARKER})))
    found = judge(profile, measured)
    assert status(found, "eyes_open") is MeasureStatus.unavailable
    assert "eyes_open:unavailable" in found.reasons


def test_a_question_that_does_not_arise_needs_no_model() -> None:
    # Without the reader an order that names no words would otherwise never be delivered.
    wanted = frozenset({"copy_distance", "copy_extra", "copy_legibility"})
    models = Models(without=frozenset({TEXT_DETECTOR, TEXT_READER}))
    unasked = measure_bytes(png(PORTRAIT), wanted, models)
    assert {measurement.status for measurement in unasked.measurements} == {MeasureStatus.not_applicable}
    asked = measure_bytes(png(PORTRAIT), wanted, models, wording=Wording("Fresh bread"))
    assert {measurement.status for measurement in asked.measurements} == {MeasureStatus.unavailable}


def test_undecodable_picture_fails_decodable_and_nothing_else_is_claimed() -> None:
    found = score(png(PORTRAIT)[:20_000])
    assert found.reasons[0] == "decodable:below_threshold"
    assert all(
        verdict.status is MeasureStatus.failure_to_assess
        for verdict in found.dimensions
        if verdict.name != "decodable"
    )


@pytest.mark.parametrize("name", GENERAL)
def test_general_profile_accepts_real_photographs(name: str) -> None:
    found = score(png(photograph(name)), "general")
    assert found.passed, found.reasons


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (17, 16), (8, 8), (64, 64)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_measures_never_fail_on_tiny_or_flat_pictures(size: tuple[int, int], value: int) -> None:
    measured = measure_bytes(png(np.full((*size, 3), value, np.uint8)), frozenset(TIERS), loaded_models())
    assert {measurement.name for measurement in measured.measurements} == set(TIERS)
    assert all(
        measurement.status is not MeasureStatus.ok or measurement.raw == measurement.raw
        for measurement in measured.measurements
    )


def test_same_bytes_give_the_same_measurements() -> None:
    content = jpeg(PORTRAIT, 90)
    wanted = PROFILES.get("headshot").wanted()
    with ANSWERS.none_kept():
        first, second = (measure_bytes(content, wanted, loaded_models()) for _ in range(2))
    assert first == second


def test_model_of_another_content_is_refused(tmp_path) -> None:
    wrong = tmp_path / "face_landmarker.task"
    wrong.write_bytes(b"another model")
    with pytest.raises(ModelMissing):
        load_face_models(wrong)
    with pytest.raises(ModelMissing):
        load_face_models(tmp_path / "absent.task")
    assert model_versions()["face_landmarker"] == f"sha256:{FACE_LANDMARKER_SHA256}"
