"""The verdict: from measurements and a profile to pass or fail per dimension, with reasons and a rank score."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from dataclasses import dataclass, replace
from typing import TypeAlias

from services.scorer.domain.brand_words import found_in
from services.scorer.domain.measures import (
    CUSTOM_TIER,
    NEAR_DUPLICATE,
    PERCEPTUAL_HASH,
    Evidence,
    Measured,
    Measurement,
)
from services.scorer.domain.quality_profile import (
    SCORE_MAX,
    CustomRule,
    DimensionRule,
    Guard,
    Profile,
    Ranking,
)
from services.scorer.domain.vocabulary import typed
from winnow.contracts.values import MeasureStatus

Values: TypeAlias = dict[str, dict[str, float | str | list[str]]]


@dataclass(frozen=True, slots=True)
class DimensionVerdict:
    """A dimension with its verdict. ``score`` (0..100) is null unless ``status`` is ``ok``.

    ``required`` is what it came to for this picture: a dimension with an excused status is not required.
    """

    name: str
    tier: int
    status: MeasureStatus
    raw: float | None
    score: float | None
    threshold: float
    required: bool
    passed: bool
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """Outcome of a custom rule: true, false, or null with the reason why it could not be decided."""

    holds: bool | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CandidateScore:
    """A candidate's verdict. It passes only if every required dimension does.

    ``score`` in 0..100 ranks candidates of one profile version; ``reasons`` names the required dimensions
    that failed, as ``<dimension>:<status or below_threshold>``.
    """

    passed: bool
    score: float
    dimensions: tuple[DimensionVerdict, ...]
    reasons: tuple[str, ...]
    perceptual_hash: str | None
    width: int
    height: int


def apply_guards(measurement: Measurement, guards: tuple[Guard, ...]) -> Measurement:
    """Turn a value that must not be believed into ``failure_to_assess``; evidence is kept.

    A guard whose evidence is absent fails too: what was not shown is not assumed.
    """
    if measurement.status is not MeasureStatus.ok:
        return measurement
    for guard in guards:
        shown = measurement.evidence.get(guard.evidence)
        if not isinstance(shown, int | float) or not shown >= guard.minimum:
            evidence = {**measurement.evidence, "reason": f"guard_{guard.evidence}"}
            status = MeasureStatus.failure_to_assess
            return replace(measurement, status=status, raw=None, evidence=evidence)
    return measurement


def guarded(profile: Profile, measured: Measured) -> Measured:
    """Apply the guards of a profile to everything that was measured."""
    guards = {rule.name: rule.guards for rule in profile.dimensions}
    measurements = tuple(apply_guards(each, guards.get(each.name, ())) for each in measured.measurements)
    return replace(measured, measurements=measurements)


def values_of(profile: Profile, measured: Measured) -> Values:
    """Return what a custom rule may read per dimension: ``status``, evidence, ``raw`` and ``score`` if taken.

    A word list of the profile stands beside the dimensions, with the ``words`` of it that were read. It is
    absent when no text could be read, so that a rule on it is undecided and does not pass.
    """
    rules = {rule.name: rule for rule in profile.dimensions}
    values: Values = {}
    for measurement in guarded(profile, measured).measurements:
        name = measurement.name
        shown = {key: typed(name, key, value) for key, value in measurement.evidence.items()}
        shown["status"] = measurement.status.value
        if measurement.status is MeasureStatus.ok and measurement.raw is not None:
            shown["raw"] = float(measurement.raw)
            if name in rules:
                shown["score"] = rules[name].mapping.score(measurement.raw)
        values[name] = shown
    words = _words_read(values)
    if words is not None:
        for listed in profile.word_lists:
            values[listed.name] = {"words": list(found_in(listed.words, words, listed.distance_max))}
    return values


def _words_read(values: Values) -> list[str] | None:
    """Gather the words of every dimension that reads text; None when none could."""
    taken = [
        value
        for shown in values.values()
        if shown["status"] == MeasureStatus.ok.value
        for value in shown.values()
        if isinstance(value, list)
    ]
    return [word for words in taken for word in words] if taken else None


def judge(
    profile: Profile, measured: Measured, outcomes: MappingABC[str, RuleOutcome] | None = None
) -> CandidateScore:
    """Return the verdict of a profile on a picture.

    ``outcomes`` holds what each custom rule came to; a rule without outcome is ``failure_to_assess``.
    """
    found = guarded(profile, measured).by_name()
    verdicts = [_dimension(rule, found.get(rule.name)) for rule in profile.dimensions]
    verdicts += [_custom(rule, (outcomes or {}).get(rule.name)) for rule in profile.rules]
    failed = [verdict for verdict in verdicts if verdict.required and not verdict.passed]
    return CandidateScore(
        passed=not failed,
        score=_overall(profile, verdicts),
        dimensions=tuple(verdicts),
        reasons=tuple(_reason(verdict) for verdict in failed),
        perceptual_hash=_perceptual_hash(found),
        width=measured.width,
        height=measured.height,
    )


def _dimension(rule: DimensionRule, measurement: Measurement | None) -> DimensionVerdict:
    measurement = measurement or Measurement(rule.name, MeasureStatus.unavailable)
    status, score = measurement.status, None
    if status is MeasureStatus.ok:
        if measurement.raw is None:
            status = MeasureStatus.failure_to_assess
        else:
            score = rule.mapping.score(measurement.raw)
    return DimensionVerdict(
        name=rule.name,
        tier=rule.tier,
        status=status,
        raw=measurement.raw if status is MeasureStatus.ok else None,
        score=score,
        threshold=rule.threshold,
        required=rule.required and status not in rule.excuses,
        passed=score is not None and score >= rule.threshold,
        evidence=measurement.evidence,
    )


def _custom(rule: CustomRule, outcome: RuleOutcome | None) -> DimensionVerdict:
    holds = outcome.holds if outcome is not None else None
    reason = outcome.reason if outcome is not None else "not_evaluated"
    taken = holds is not None
    return DimensionVerdict(
        name=rule.name,
        tier=CUSTOM_TIER,
        status=MeasureStatus.ok if taken else MeasureStatus.failure_to_assess,
        raw=float(holds) if holds is not None else None,
        score=SCORE_MAX * holds if holds is not None else None,
        threshold=SCORE_MAX,
        required=rule.required,
        passed=holds is True,
        evidence={} if taken else {"reason": reason},
    )


def _overall(profile: Profile, verdicts: list[DimensionVerdict]) -> float:
    """Combine the scores by weight; a dimension that could not be taken counts 0, one that was excused nothing."""
    status = {verdict.name: verdict.status for verdict in verdicts}
    weights = {rule.name: rule.weight for rule in profile.dimensions if status[rule.name] not in rule.excuses}
    weighed = [(weights.get(verdict.name, 0.0), verdict.score or 0.0) for verdict in verdicts]
    weighed = [(weight, score) for weight, score in weighed if weight > 0]
    if not weighed:
        return 0.0
    if profile.ranking is Ranking.minimum:
        return round(min(score for _, score in weighed), 2)
    total = sum(weight for weight, _ in weighed)
    mean = sum(weight * score for weight, score in weighed) / total
    return round(max(0.0, min(SCORE_MAX, mean)), 2)


def _reason(verdict: DimensionVerdict) -> str:
    cause = "below_threshold" if verdict.status is MeasureStatus.ok else verdict.status.value
    return f"{verdict.name}:{cause}"


def _perceptual_hash(found: dict[str, Measurement]) -> str | None:
    measurement = found.get(NEAR_DUPLICATE)
    value = measurement.evidence.get(PERCEPTUAL_HASH) if measurement is not None else None
    return value if isinstance(value, str) else None
