"""The maps, guards and verdicts hold for all values, not only for the measured ones."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scorer.domain import (
    CustomRule,
    DimensionRule,
    Guard,
    Measured,
    Measurement,
    Profile,
    Ranking,
    RuleOutcome,
    ScoreMapping,
    could_not_measure,
    judge,
    values_of,
)
from services.scorer.domain.verdict import apply_guards
from winnow.contracts.values import MeasureStatus

RAW = st.floats(allow_nan=True, allow_infinity=True)
FINITE = st.floats(-1e9, 1e9)
NAMES = ("sharpness", "noise", "face_count")


def rule(
    name: str, *, required: bool = True, guards: tuple[Guard, ...] = (), weight: float = 1.0
) -> DimensionRule:
    return DimensionRule(name, 1, required, 50.0, weight, ScoreMapping(x0=1.0, w=0.2), guards)


def profile(
    *rules: DimensionRule, custom: tuple[CustomRule, ...] = (), ranking: Ranking = Ranking.mean
) -> Profile:
    return Profile("p", 1, ranking, rules, custom, "0" * 64)


MEASUREMENT = st.builds(
    Measurement,
    name=st.sampled_from(NAMES),
    status=st.sampled_from(MeasureStatus),
    raw=st.none() | RAW,
    evidence=st.dictionaries(st.sampled_from(["presence", "reason"]), st.floats(0, 1) | st.just("word")),
)
MEASURED = st.builds(
    lambda each: Measured(tuple({measurement.name: measurement for measurement in each}.values())),
    st.lists(MEASUREMENT),
)


@given(RAW, st.floats(0.001, 100), FINITE)
def test_mapping_stays_within_bounds_for_any_raw_value(raw: float, width: float, x0: float) -> None:
    for mapping in (
        ScoreMapping(x0=x0, w=width),
        ScoreMapping(x0=x0, w=width, a=1.0, s=-1.0),
        ScoreMapping(exactly=x0),
    ):
        assert 0.0 <= mapping.score(raw) <= 100.0


@given(FINITE, FINITE, st.floats(0.001, 100), FINITE)
def test_rising_and_falling_mappings_are_monotone_and_mirror_images(
    a: float, b: float, width: float, x0: float
) -> None:
    low, high = sorted((a, b))
    rising, falling = ScoreMapping(x0=x0, w=width), ScoreMapping(x0=x0, w=width, a=1.0, s=-1.0)
    assert rising.score(low) <= rising.score(high)
    assert falling.score(low) >= falling.score(high)
    assert rising.score(a) + falling.score(a) == pytest.approx(100.0, abs=0.02)
    assert rising.score(x0) == falling.score(x0) == 50.0


@pytest.mark.parametrize(("raw", "passed"), [(1.0, True), (0.999, False)])
def test_a_score_at_its_threshold_passes_and_the_next_below_does_not(raw: float, passed: bool) -> None:
    measured = Measured((Measurement("sharpness", MeasureStatus.ok, raw),))
    score = judge(profile(rule("sharpness")), measured)
    assert score.passed is passed
    assert (score.dimensions[0].score == 50.0) is passed


@pytest.mark.parametrize(("shown", "status"), [(0.5, "ok"), (0.4999, "failure_to_assess")])
def test_evidence_at_the_minimum_of_a_guard_is_enough(shown: float, status: str) -> None:
    measurement = Measurement("sharpness", MeasureStatus.ok, 9.0, {"presence": shown})
    assert apply_guards(measurement, (Guard("presence", 0.5),)).status.value == status


def test_mapping_scores_zero_for_not_a_number() -> None:
    assert ScoreMapping(x0=-5.0).score(math.nan) == 0.0
    assert ScoreMapping(exactly=1.0).score(math.nan) == 0.0


@given(MEASUREMENT, st.floats(0, 1))
def test_guard_never_lets_a_value_through_without_enough_evidence(
    measurement: Measurement, minimum: float
) -> None:
    guarded = apply_guards(measurement, (Guard("presence", minimum),))
    shown = measurement.evidence.get("presence")
    if guarded.status is MeasureStatus.ok:
        assert isinstance(shown, float)
        assert shown >= minimum
        assert guarded == measurement
    elif measurement.status is MeasureStatus.ok:
        assert guarded.status is MeasureStatus.failure_to_assess
        assert guarded.raw is None


@given(MEASURED)
def test_candidate_passes_only_when_every_required_dimension_was_taken_and_reached(
    measured: Measured,
) -> None:
    asked = profile(rule("sharpness"), rule("noise", required=False), rule("face_count"))
    score = judge(asked, measured)
    by_name = {verdict.name: verdict for verdict in score.dimensions}
    assert score.passed == all(by_name[name].passed for name in ("sharpness", "face_count"))
    assert score.passed == (not score.reasons)
    assert 0.0 <= score.score <= 100.0
    for verdict in score.dimensions:
        if verdict.passed:
            assert verdict.status is MeasureStatus.ok
            assert verdict.score is not None
            assert verdict.score >= verdict.threshold
        if verdict.status is not MeasureStatus.ok:
            assert verdict.score is None
            assert verdict.raw is None


@pytest.mark.parametrize("status", [status for status in MeasureStatus if status is not MeasureStatus.ok])
def test_required_dimension_fails_when_it_could_not_be_taken_even_with_a_raw_value(
    status: MeasureStatus,
) -> None:
    measured = Measured((Measurement("sharpness", status, raw=99.0),))
    score = judge(profile(rule("sharpness")), measured)
    assert not score.passed
    assert score.reasons == (f"sharpness:{status.value}",)


def test_required_dimension_fails_when_nothing_was_said_about_it() -> None:
    score = judge(profile(rule("sharpness")), Measured(()))
    assert score.reasons == ("sharpness:unavailable",)


def test_optional_dimension_does_not_block() -> None:
    measured = Measured((Measurement("sharpness", MeasureStatus.ok, 2.0),))
    assert judge(profile(rule("sharpness"), rule("noise", required=False)), measured).passed


@pytest.mark.parametrize(
    ("outcome", "passed"),
    [(RuleOutcome(True), True), (RuleOutcome(False), False), (RuleOutcome(None, "x"), False), (None, False)],
)
def test_custom_rule_passes_only_when_it_is_true(outcome: RuleOutcome | None, passed: bool) -> None:
    asked = profile(rule("sharpness"), custom=(CustomRule("mine", "true", required=True),))
    measured = Measured((Measurement("sharpness", MeasureStatus.ok, 2.0),))
    score = judge(asked, measured, {"mine": outcome} if outcome else {})
    assert score.passed is passed


@given(st.floats(0.5, 1.5), st.floats(0.5, 1.5))
def test_rank_score_lies_between_worst_and_best_dimension(sharp: float, noise: float) -> None:
    measured = Measured(
        (Measurement("sharpness", MeasureStatus.ok, sharp), Measurement("noise", MeasureStatus.ok, noise))
    )
    asked = profile(rule("sharpness", weight=2.0), rule("noise"))
    mean = judge(asked, measured)
    scores = [verdict.score for verdict in mean.dimensions if verdict.score is not None]
    assert min(scores) - 0.01 <= mean.score <= max(scores) + 0.01
    assert judge(replace(asked, ranking=Ranking.minimum), measured).score == min(scores)


def test_rule_values_hide_what_a_guard_refused() -> None:
    asked = profile(rule("sharpness", guards=(Guard("presence", 0.9),)))
    measured = Measured((Measurement("sharpness", MeasureStatus.ok, 2.0, {"presence": 0.1}),))
    shown = values_of(asked, measured)["sharpness"]
    assert "raw" not in shown
    assert shown["status"] == "failure_to_assess"


def test_nothing_measured_is_a_failure_in_every_dimension() -> None:
    asked = profile(*(rule(name) for name in NAMES))
    score = judge(asked, could_not_measure(asked.wanted(), "process_died"))
    assert len(score.reasons) == len(NAMES)
    assert score.score == 0.0
