"""Verdicts hold for all values, not only for the measured values."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scorer.domain import (
    CustomRule,
    Guard,
    Measured,
    Measurement,
    Ranking,
    RuleOutcome,
    could_not_measure,
    judge,
    values_of,
)
from tests.unit.scorer.builders import MEASURED, NAMES, profile, rule
from winnow.contracts.values import MeasureStatus


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
