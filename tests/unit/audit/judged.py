"""A candidate as the scorer judged it, and edits of its verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.scorer.app.scoring import to_contract
from services.scorer.domain import Measured, judge
from services.scorer.domain.measures import Measurement
from services.scorer.domain.quality_profile import Profile as ScorerProfile
from services.scorer.domain.verdict import RuleOutcome
from tests.support.profiles import built_in_profiles
from winnow.audit.judgement import judged_findings
from winnow.audit.profiles import SHIPPED, Profile, read_profiles
from winnow.contracts.events import CandidatesScored
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.values import Dimension, MeasureStatus, ScoredCandidate

CATALOG = built_in_profiles()
AT_HAND = read_profiles([SHIPPED])
HEADSHOT = CATALOG.get("headshot", 3)
CANDIDATE = derive_id(Prefix.candidate, "judged")
Edit = Callable[[ScoredCandidate], ScoredCandidate]


def pinned(profile: ScorerProfile) -> Profile:
    return AT_HAND[profile.sha256]


def scored(profile: ScorerProfile, measured: Measured, outcomes: dict[str, RuleOutcome]) -> ScoredCandidate:
    """Return a verdict as the scorer writes it into the record."""
    score = judge(profile, measured, outcomes)
    return ScoredCandidate(
        candidate_id=CANDIDATE,
        passed=score.passed,
        score=score.score,
        dimensions=[to_contract(result) for result in score.dimensions],
        reasons=list(score.reasons),
    )


def good(profile: ScorerProfile = HEADSHOT) -> ScoredCandidate:
    """Return the verdict on a picture whose every measure is far on the good side."""
    measurements = []
    for rule in profile.dimensions:
        far = 1e6 if rule.mapping.rises else -1e6
        raw = rule.mapping.exactly if rule.mapping.exactly is not None else far
        evidence = {guard.evidence: guard.minimum for guard in rule.guards}
        measurements.append(Measurement(rule.name, MeasureStatus.ok, raw, evidence))
    outcomes = {rule.name: RuleOutcome(holds=True) for rule in profile.rules}
    return scored(profile, Measured(tuple(measurements)), outcomes)


def texts(candidate: ScoredCandidate, profile: Profile) -> list[str]:
    event = CandidatesScored(
        task_id=derive_id(Prefix.task, "judged"),
        account_id="acct_a",
        chunk_id=derive_id(Prefix.chunk, "judged"),
        round_index=0,
        profile=profile.ref,
        profile_sha256=profile.sha256,
        scorer_version="1",
        models={},
        candidates=[candidate],
    )
    return [finding.text.removeprefix(f"{CANDIDATE}: ") for finding in judged_findings(event, profile)]


def dimension(name: str, **changes: Any) -> Edit:
    """Change a dimension, and nothing that follows from it."""

    def edit(candidate: ScoredCandidate) -> ScoredCandidate:
        changed = [
            measured.model_copy(update=changes) if measured.name == name else measured
            for measured in candidate.dimensions
        ]
        assert changed != candidate.dimensions
        return candidate.model_copy(update={"dimensions": changed})

    return edit


def without(name: str) -> Edit:
    return lambda candidate: candidate.model_copy(
        update={"dimensions": [measured for measured in candidate.dimensions if measured.name != name]}
    )


def twice(name: str) -> Edit:
    return lambda candidate: candidate.model_copy(
        update={
            "dimensions": [
                *candidate.dimensions,
                *(measured for measured in candidate.dimensions if measured.name == name),
            ]
        }
    )


def invented(candidate: ScoredCandidate) -> ScoredCandidate:
    more = Dimension(name="beauty", tier=1, status=MeasureStatus.ok, required=False, passed=True)
    return candidate.model_copy(update={"dimensions": [*candidate.dimensions, more]})


NOT_TAKEN = {"status": MeasureStatus.unavailable, "raw": None, "score": None, "passed": False}
