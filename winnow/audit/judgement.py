"""Judges recorded raw values by the pinned profile, and compares the result with the recorded verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from winnow.audit.finding import Finding
from winnow.audit.profiles import SCORE_MAX, DimensionRule, Profile
from winnow.contracts.events import CandidatesScored
from winnow.contracts.values import Dimension, MeasureStatus, ScoredCandidate

_CHECK: Final = "verdict"
_ROUNDING: Final = 0.01 + 1e-9
"""Scores have two decimals; another machine's exponential function may round the last one the other way."""


def judged_findings(event: CandidatesScored, profile: Profile) -> Iterator[Finding]:
    """Compare each recorded verdict of a chunk with the verdict that its raw values give under the profile."""
    for candidate in event.candidates:
        for text in _deviations(candidate, profile):
            yield Finding(_CHECK, event.task_id, f"{candidate.candidate_id}: {text}")


def passes_under(candidate: ScoredCandidate, profile: Profile) -> bool:
    """Derive a candidate's verdict: every required dimension of the profile is present, once, and passes."""
    counts = Counter(measured.name for measured in candidate.dimensions)
    if any(rule.required and counts[rule.name] != 1 for rule in profile.rules.values()):
        return False
    rules = profile.rules
    return all(
        _passes(measured, rules[measured.name])
        for measured in candidate.dimensions
        if measured.name in rules and rules[measured.name].requires(measured.status)
    )


def rank_score(dimensions: Sequence[Dimension], profile: Profile) -> float:
    """Combine the scores by the profile's weights; a measure that was not taken counts 0, an excused one nothing."""
    weighed = [
        (rule.weight, _score(dimension, rule) or 0.0)
        for dimension in dimensions
        if (rule := profile.rules.get(dimension.name)) is not None
        and rule.weight > 0
        and dimension.status not in rule.excuses
    ]
    if not weighed:
        return 0.0
    if profile.ranking == "minimum":
        return round(min(score for _, score in weighed), 2)
    mean = sum(weight * score for weight, score in weighed) / sum(weight for weight, _ in weighed)
    return round(max(0.0, min(SCORE_MAX, mean)), 2)


def _deviations(candidate: ScoredCandidate, profile: Profile) -> Iterator[str]:
    counts = Counter(measured.name for measured in candidate.dimensions)
    for name, rule in profile.rules.items():
        if not counts[name]:
            kind = "required dimension" if rule.required else "dimension"
            yield f"the {kind} {name} of {profile.label} is missing"
    for name, count in counts.items():
        if name not in profile.rules:
            yield f"{profile.label} has no dimension {name}"
        elif count > 1:
            yield f"the dimension {name} stands there {count} times"
    for measured in candidate.dimensions:
        if measured.name in profile.rules:
            yield from _rule_deviations(measured, profile.rules[measured.name], profile)
            yield from _score_deviations(measured, profile.rules[measured.name], profile)
    derived = passes_under(candidate, profile)
    if candidate.passed != derived:
        yield f"it is recorded as {_word(candidate.passed)}, its raw values give {_word(derived)} under {profile.label}"
    score = rank_score(candidate.dimensions, profile)
    if abs(score - candidate.score) > _ROUNDING:
        yield f"it is ranked by {candidate.score}, its raw values give {score} under {profile.label}"


def _rule_deviations(dimension: Dimension, rule: DimensionRule, profile: Profile) -> Iterator[str]:
    """Compare the terms that were recorded with a measure with those of the profile."""
    if dimension.threshold != rule.threshold:
        yield f"{dimension.name} is recorded with the threshold {dimension.threshold}, {profile.label} says {rule.threshold}"
    required = rule.requires(dimension.status)
    if dimension.required != required:
        yield (
            f"{dimension.name} is recorded as {_duty(dimension.required)} while {dimension.status.value}, {profile.label} says"
            f" {_duty(required)}"
        )
    if dimension.tier != rule.tier:
        yield f"{dimension.name} is recorded in tier {dimension.tier}, {profile.label} says {rule.tier}"


def _score_deviations(dimension: Dimension, rule: DimensionRule, profile: Profile) -> Iterator[str]:
    """Derive score and verdict of a measure from its raw value."""
    derived = _score(dimension, rule)
    if dimension.status is MeasureStatus.ok and dimension.raw is None:
        yield f"{dimension.name} is ok without a raw value"
    elif dimension.status is not MeasureStatus.ok and dimension.raw is not None:
        yield f"{dimension.name} is {dimension.status.value} and has the raw value {dimension.raw}"
    differs = (derived is None) != (dimension.score is None)
    if differs or abs((derived or 0.0) - (dimension.score or 0.0)) > _ROUNDING:
        yield f"{dimension.name} has the score {dimension.score}, its raw value {dimension.raw} gives {derived} under {profile.label}"
    passed = _passes(dimension, rule)
    if dimension.passed != passed:
        yield (
            f"{dimension.name} is recorded as {_word(dimension.passed)}, its raw value {dimension.raw} gives {_word(passed)} under"
            f" {profile.label}"
        )
    if dimension.status is MeasureStatus.ok:
        for evidence, minimum in rule.guards:
            shown = dimension.evidence.get(evidence)
            if not isinstance(shown, int | float) or not shown >= minimum:
                yield (
                    f"{dimension.name} is ok with {evidence} {shown}, {profile.label} believes it from {minimum} on"
                )


def _score(dimension: Dimension, rule: DimensionRule) -> float | None:
    if dimension.status is not MeasureStatus.ok or dimension.raw is None:
        return None
    return rule.map.score(dimension.raw)


def _passes(dimension: Dimension, rule: DimensionRule) -> bool:
    score = _score(dimension, rule)
    if score is None:
        return False
    # At the threshold itself the recorded score decides which way the last digit was rounded.
    if dimension.score is not None and abs(score - dimension.score) <= _ROUNDING:
        score = dimension.score
    return score >= rule.threshold


def _word(passed: bool) -> str:  # noqa: FBT001 (the subject of the function)
    return "passed" if passed else "not passed"


def _duty(required: bool) -> str:  # noqa: FBT001 (the subject of the function)
    return "required" if required else "not required"
