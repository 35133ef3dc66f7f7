"""The audit reads profiles and judges raw values by itself; it agrees with the scorer, and names every change."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scorer.clients.profiles import BUILT_IN, load_profiles
from services.scorer.clients.rules import CelRules
from services.scorer.domain import Measured
from services.scorer.domain.measures import Measurement
from services.scorer.domain.verdict import RuleOutcome
from tests.unit.audit.judged import (
    CATALOG,
    HEADSHOT,
    NOT_TAKEN,
    Edit,
    dimension,
    good,
    invented,
    pinned,
    scored,
    texts,
    twice,
    without,
)
from winnow.audit.judgement import passes_under
from winnow.audit.profiles import read_profiles
from winnow.contracts.values import MeasureStatus


@given(st.data())
def test_a_verdict_of_the_scorer_is_derived_again_from_its_raw_values(data: st.DataObject) -> None:
    theirs = data.draw(st.sampled_from(CATALOG.all()))
    measurements = []
    for rule in theirs.dimensions:
        status = data.draw(st.sampled_from([MeasureStatus.ok] * 5 + list(MeasureStatus)))
        around = rule.mapping.x0 + data.draw(st.floats(-8, 8)) * rule.mapping.w
        raw = data.draw(st.sampled_from([around, rule.mapping.exactly or around, 1.0]))
        evidence = {
            guard.evidence: guard.minimum * data.draw(st.sampled_from([0.5, 1, 2])) for guard in rule.guards
        }
        measurements.append(
            Measurement(rule.name, status, raw if status is MeasureStatus.ok else None, evidence)
        )
    outcomes = {
        rule.name: RuleOutcome(data.draw(st.sampled_from([True, False, None])), "r") for rule in theirs.rules
    }
    candidate = scored(theirs, Measured(tuple(measurements)), outcomes)
    assert texts(candidate, pinned(theirs)) == []
    assert passes_under(candidate, pinned(theirs)) == candidate.passed


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (dimension("sharpness", threshold=0.0), "sharpness is recorded with the threshold 0.0, headshot@3 says 50.0"),
        (dimension("sharpness", required=False), "sharpness is recorded as not required while ok, headshot@3 says"),
        (
            dimension("sharpness", **NOT_TAKEN, required=False),
            "sharpness is recorded as not required while unavailable, headshot@3 says required",
        ),
        (
            dimension("identity_distance", status=MeasureStatus.failure_to_assess, raw=None, score=None, required=False),
            "identity_distance is recorded as not required while failure_to_assess, headshot@3 says required",
        ),
        (dimension("sharpness", raw=-5.0), "sharpness has the score 100.0, its raw value -5.0 gives 0.0"),
        (dimension("sharpness", raw=-5.0), "sharpness is recorded as passed, its raw value -5.0 gives not passed"),
        (dimension("sharpness", raw=-5.0), "it is recorded as passed, its raw values give not passed"),
        (dimension("sharpness", raw=None), "sharpness is ok without a raw value"),
        (dimension("sharpness", score=99.0), "sharpness has the score 99.0, its raw value"),
        (dimension("sharpness", passed=False), "sharpness is recorded as not passed, its raw value"),
        (dimension("sharpness", tier=2), "sharpness is recorded in tier 2, headshot@3 says 1"),
        (dimension("sharpness", status=MeasureStatus.unavailable), "sharpness is unavailable and has the raw value"),
        (dimension("eyes_open", evidence={"presence": 0.1}), "eyes_open is ok with presence 0.1, headshot@3 believes"),
        (dimension("eyes_open", evidence={}), "eyes_open is ok with presence None, headshot@3 believes"),
        (dimension("soft_and_noisy", raw=0.0), "soft_and_noisy has the score 100.0, its raw value 0.0 gives 0.0"),
        (without("eyes_open"), "the required dimension eyes_open of headshot@3 is missing"),
        (without("eyes_open"), "it is recorded as passed, its raw values give not passed"),
        (without("gaze"), "the dimension gaze of headshot@3 is missing"),
        (twice("sharpness"), "the dimension sharpness stands there 2 times"),
        (invented, "headshot@3 has no dimension beauty"),
        (lambda candidate: candidate.model_copy(update={"passed": False}), "it is recorded as not passed, its raw values give passed"),
        (lambda candidate: candidate.model_copy(update={"score": 1.0}), "it is ranked by 1.0, its raw values give 100.0"),
    ],
)  # fmt: skip
def test_a_changed_verdict_is_named(edit: Edit, named: str) -> None:
    profile = pinned(HEADSHOT)
    sound = good()
    assert sound.passed
    assert texts(sound, profile) == []
    found = texts(edit(sound), profile)
    assert any(finding.startswith(named) for finding in found), found


def test_an_excused_measure_neither_fails_a_picture_nor_weighs_in_its_rank() -> None:
    absent = {"status": MeasureStatus.not_applicable, "raw": None, "score": None, "passed": False}
    excused = dimension("identity_distance", **absent, required=False)(good())
    assert excused.score == 100.0
    assert texts(excused, pinned(HEADSHOT)) == []
    # A dimension that may not be excused weighs as 0.
    found = texts(dimension("lighting_evenness", **absent)(good()), pinned(HEADSHOT))
    assert any(finding.startswith("it is ranked by 100.0") for finding in found), found


@pytest.mark.parametrize(("score", "passes"), [(49.99, False), (50.0, True)])
def test_a_score_at_the_threshold_passes_and_the_next_below_does_not(score: float, passes: bool) -> None:
    raw = HEADSHOT.dimensions[2].mapping.raw_at(score)
    assert raw is not None
    changed = dimension("sharpness", raw=raw, score=score, passed=passes)(good())
    found = texts(changed, pinned(HEADSHOT))
    assert not any(finding.startswith("sharpness") for finding in found), found
    found = texts(dimension("sharpness", passed=not passes)(changed), pinned(HEADSHOT))
    assert any(finding.startswith("sharpness is recorded as") for finding in found), found


def test_the_last_digit_of_a_score_may_be_rounded_the_other_way_and_no_more() -> None:
    rule = pinned(HEADSHOT).rules["sharpness"]
    raw = HEADSHOT.dimensions[2].mapping.raw_at(60.0)
    assert raw is not None
    for off, sound in ((0.01, True), (0.02, False)):
        changed = dimension("sharpness", raw=raw, score=round(rule.map.score(raw) + off, 2))(good())
        scores = [
            text for text in texts(changed, pinned(HEADSHOT)) if text.startswith("sharpness has the score")
        ]
        assert bool(scores) is not sound, off


def test_a_rank_by_the_minimum_is_derived_too(tmp_path: Path) -> None:
    text = (BUILT_IN / "headshot-3.yaml").read_text().replace("ranking: mean", "ranking: minimum")
    (tmp_path / "own.yaml").write_text(text)
    (ours,) = read_profiles([tmp_path]).values()
    theirs = load_profiles(tmp_path, CelRules()).get("headshot", 3)
    assert ours.sha256 == theirs.sha256 != HEADSHOT.sha256
    raw = theirs.dimensions[2].mapping.raw_at(60.0)
    base = good(theirs)
    changed = dimension("sharpness", raw=raw, score=60.0)(base).model_copy(update={"score": 60.0})
    assert math.isclose(base.score, 100.0)
    assert texts(changed, ours) == []
    assert texts(changed.model_copy(update={"score": 100.0}), ours)
