"""Maps and guards: bounded and monotone for every raw value, strict without evidence."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scorer.domain import Guard, Measured, Measurement, ScoreMapping, judge
from services.scorer.domain.verdict import apply_guards
from tests.unit.scorer.builders import FINITE, MEASUREMENT, RAW, profile, rule
from winnow.contracts.values import MeasureStatus


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
