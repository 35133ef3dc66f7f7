"""Measures on real photographs and their controlled degradations, judged by the built-in profiles."""

from __future__ import annotations

import os
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from services.scorer.clients.rules import CelRules
from services.scorer.domain import CandidateScore, judge, values_of
from services.scorer.domain.measures import TIERS
from services.scorer.domain.references import Wording
from services.scorer.engine.measure import measure_bytes
from services.scorer.inference.models import (
    FACE_LANDMARKER_SHA256,
    ModelMissing,
    load_face_models,
    model_versions,
)
from services.scorer.vision import classic
from services.scorer.vision.exposure import Exposure, exposure, white_ground_share
from services.scorer.vision.model_set import FACE_LANDMARKER, TEXT_DETECTOR, TEXT_READER, Models
from services.scorer.vision.noise import NoiseLevel, measure_noise
from simulators.defects import CARDS, Defect
from simulators.photos.studio import Subject
from simulators.renderer import RenderRequest
from tests.support.opencv import decoded, pixels
from tests.support.profiles import built_in_profiles
from tests.support.renderer import shared_renderer
from tests.unit.scorer.answers import ANSWERS
from tests.unit.scorer.loaded import loaded_models
from tests.unit.scorer.photographs import (
    BGR,
    blurred,
    exposed,
    jpeg,
    moved,
    noisy,
    photograph,
    png,
    portrait,
    upscaled,
)
from winnow.contracts.values import MeasureStatus

RULES = CelRules()
PROFILES = built_in_profiles()
PORTRAIT = portrait()
GENERAL = ("camera.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "china.jpg", "flower.jpg")


def score(content: bytes, profile_name: str = "headshot") -> CandidateScore:
    profile = PROFILES.get(profile_name)
    measured = measure_bytes(content, profile.wanted(), loaded_models())
    values = values_of(profile, measured)
    return judge(
        profile, measured, {rule.name: RULES.evaluate(rule.expression, values) for rule in profile.rules}
    )


def failed(found: CandidateScore) -> set[str]:
    return {verdict.name for verdict in found.dimensions if verdict.required and not verdict.passed}


def resized(picture: BGR, side_px: int) -> BGR:
    return pixels(cv2.resize(picture, (side_px, side_px), interpolation=cv2.INTER_AREA))


def grey_of(picture: BGR) -> classic.Grey:
    return pixels(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))


def noise_of(grey: classic.Grey) -> NoiseLevel:
    half = classic.halved(grey)
    return measure_noise(grey, half, classic.halved(half))


def status(found: CandidateScore, name: str) -> MeasureStatus:
    return next(verdict.status for verdict in found.dimensions if verdict.name == name)


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


def auc(clean: list[float], degraded: list[float]) -> float:
    """Return the chance that a clean photograph reads higher than a degraded one."""
    wins = [1.0 if a > b else 0.5 if a == b else 0.0 for a in clean for b in degraded]
    return sum(wins) / len(wins)


@pytest.mark.parametrize(
    ("degrade", "at_least"),
    [
        (lambda p: blurred(p, 1.5), 1.0),
        (lambda p: blurred(p, 2), 1.0),
        (lambda p: moved(p, 11), 0.95),
        (lambda p: moved(p, 15), 0.95),
        (lambda p: upscaled(p, 3), 1.0),
        (lambda p: noisy(blurred(p, 2), 8), 0.95),
    ],
    ids=["gaussian 1.5", "gaussian 2", "motion 11", "motion 15", "upscaled 3", "blur 2 and noise 8"],
)
def test_sharpness_separates_degraded_from_clean_photographs(
    degrade: Callable[[BGR], BGR], at_least: float
) -> None:
    def read(picture: BGR) -> float:
        grey = grey_of(picture)
        return classic.sharpness(grey, noise_of(grey).flat).ratio

    photographs = [photograph(name) for name in (*GENERAL, "astronaut.png", "rocket.jpg")]
    assert (
        auc([read(photo) for photo in photographs], [read(degrade(photo)) for photo in photographs])
        >= at_least
    )


def test_blockiness_rises_with_compression_and_survives_cropping() -> None:
    def read(content: bytes, crop: int = 0) -> float:
        grey = decoded(content, cv2.IMREAD_GRAYSCALE)
        return classic.blockiness(np.ascontiguousarray(grey[crop:, crop:]))

    readings = [read(jpeg(PORTRAIT, quality)) for quality in (95, 50, 20, 10)]
    assert readings == sorted(readings)
    assert read(jpeg(PORTRAIT, 20), crop=3) == pytest.approx(readings[2], rel=0.05)
    assert classic.blockiness(np.full((64, 64), 128, np.uint8)) == 1.0


@pytest.mark.parametrize("name", [*GENERAL, "brick.png", "grass.png", "gravel.png"])
def test_blockiness_tells_quality_30_from_75_whatever_is_shown(name: str) -> None:
    low, middle = (
        classic.blockiness(decoded(jpeg(photograph(name), q), cv2.IMREAD_GRAYSCALE)) for q in (30, 75)
    )
    assert middle < 1.4
    assert low > 1.6


def test_noise_estimate_grows_with_the_noise() -> None:
    readings = [noise_of(grey_of(noisy(PORTRAIT, s))) for s in (0, 5, 10, 20)]
    for kind in ("fine", "coarse", "sigma"):
        values = [getattr(reading, kind) for reading in readings]
        assert values == sorted(values)
        assert values[2] / values[1] == pytest.approx(2, rel=0.3)


@pytest.mark.parametrize("name", ["grass.png", "gravel.png", "brick.png"])
def test_texture_without_a_flat_part_is_told_from_noise(name: str) -> None:
    clean, bad = grey_of(photograph(name)), grey_of(noisy(photograph(name), 10))
    assert noise_of(clean).sigma < 3.2
    assert noise_of(bad).sigma > 4.1


def test_noise_that_went_through_jpeg_is_seen_in_blotches() -> None:
    noise = noise_of(decoded(jpeg(noisy(PORTRAIT, 10), 75), cv2.IMREAD_GRAYSCALE))
    assert noise.fine < 0.5
    assert noise.sigma > 4.1
    assert noise_of(decoded(jpeg(PORTRAIT, 75), cv2.IMREAD_GRAYSCALE)).sigma < 1.5


def on_white(picture: BGR, share: float) -> BGR:
    """Lay a picture on a white ground with ``share`` of the frame white."""
    edge = round(picture.shape[0] * ((1 / (1 - share)) ** 0.5 - 1) / 2)
    return pixels(
        cv2.copyMakeBorder(picture, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    )


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_white_ground_is_no_overexposure_and_what_stands_on_it_may_be(share: float) -> None:
    def seen(picture: BGR) -> Exposure:
        grey = grey_of(on_white(picture, share))
        return exposure(grey, bright_share_max=0.4, dark_share_max=0.75, small=classic.small_copy(grey))

    assert seen(PORTRAIT).overrun < 0.5
    assert seen(exposed(photograph("gravel.png"), 3)).overrun > 1
    assert white_ground_share(grey_of(on_white(PORTRAIT, share))) == pytest.approx(share, abs=0.02)
    assert white_ground_share(grey_of(exposed(PORTRAIT, 3))) == 0


@pytest.mark.parametrize(
    ("alter", "near"),
    [
        (lambda p: decoded(jpeg(p, 60)), True),
        (lambda p: exposed(p, 1), True),
        (lambda p: p[10:-10, 10:-10], True),
        (lambda p: p[:, ::-1], False),
        (lambda _: photograph("coffee.png"), False),
    ],
    ids=["recompressed", "brighter", "cropped by 2 percent", "mirrored", "another"],
)
def test_perceptual_hash_tells_near_duplicates(alter: Callable[[BGR], BGR], near: bool) -> None:
    def read(picture: BGR) -> int:
        return int(classic.perceptual_hash(grey_of(np.ascontiguousarray(picture))), 16)

    distance = (read(PORTRAIT) ^ read(alter(PORTRAIT))).bit_count()
    assert (distance <= 10) is near


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


SEEDS_PER_DEFECT = int(os.environ.get("WINNOW_TEST_DEFECT_SEEDS", "1"))
"""Pictures with each defect; `make soak` looks at five."""
# Advertisements and cut-outs, which need an order's words and profiles of other names, are in tests/quality.
GATED = [
    (subject, defect)
    for subject in (Subject.headshot, Subject.product)
    for defect in (None, *Defect)
    if defect is not Defect.near_duplicate and (defect is None or CARDS[defect].applies_to(subject))
]


@pytest.mark.parametrize(("subject", "defect"), GATED)
def test_gate_agrees_with_the_recorded_truth(subject: Subject, defect: Defect | None) -> None:
    for seed in range(3 if defect is None else SEEDS_PER_DEFECT):
        made = shared_renderer().render(RenderRequest((20_311, seed), subject, (768, 768), "jpeg", defect))
        found = score(made.content, subject.value)
        if defect is None:
            assert found.passed, found.reasons
        else:
            assert failed(found) & set(made.dimensions), (defect, found.reasons)
