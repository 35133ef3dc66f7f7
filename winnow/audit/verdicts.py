"""Derives every verdict again from the measured scores and thresholds that are recorded with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from winnow.audit.finding import Finding
from winnow.contracts.events import CandidatesScored, TaskSelected
from winnow.contracts.values import Dimension, MeasureStatus, ScoredCandidate

_CHECK = "verdict"


def verdict_findings(event: CandidatesScored) -> Iterator[Finding]:
    """Compare each recorded verdict with the one that its own measurements give."""
    for candidate in event.candidates:
        for dimension in candidate.dimensions:
            if dimension.passed != reaches_threshold(dimension):
                text = (
                    f"{dimension.name} of {candidate.candidate_id} is recorded as {_word(dimension.passed)}, but"
                    f" {dimension.status.value} with score {dimension.score} against {dimension.threshold} gives"
                    f" {_word(not dimension.passed)}"
                )
                yield Finding(_CHECK, event.task_id, text)
        derived = passes(candidate)
        if candidate.passed != derived:
            text = (
                f"{candidate.candidate_id} is recorded as {_word(candidate.passed)}, but its required dimensions"
                f" give {_word(derived)}"
            )
            yield Finding(_CHECK, event.task_id, text)
        elif candidate.reasons != reasons(candidate):
            text = (
                f"{candidate.candidate_id} names the reasons {', '.join(candidate.reasons) or 'none'}, its"
                f" dimensions give {', '.join(reasons(candidate)) or 'none'}"
            )
            yield Finding(_CHECK, event.task_id, text)


def selection_findings(selected: TaskSelected, scores: Mapping[str, float]) -> Iterator[Finding]:
    """Compare a selection with the verdicts: only passed candidates, each with the score it was given.

    ``scores`` holds the rank score of every passed candidate of the task.
    """
    for one in selected.selected:
        if one.candidate_id not in scores:
            yield Finding(_CHECK, selected.task_id, f"{one.candidate_id} was selected and has not passed")
        elif one.score != scores[one.candidate_id]:
            text = (
                f"{one.candidate_id} was selected with score {one.score}, its verdict gave"
                f" {scores[one.candidate_id]}"
            )
            yield Finding(_CHECK, selected.task_id, text)
    ranks = [one.rank for one in selected.selected]
    if sorted(ranks) != list(range(1, len(ranks) + 1)):
        yield Finding(_CHECK, selected.task_id, f"the ranks {ranks} are not 1 to {len(ranks)}")


def reaches_threshold(dimension: Dimension) -> bool:
    """Derive a dimension's verdict; a measure that could not be taken never passes."""
    return (
        dimension.status is MeasureStatus.ok
        and dimension.score is not None
        and dimension.threshold is not None
        and dimension.score >= dimension.threshold
    )


def passes(candidate: ScoredCandidate) -> bool:
    """Derive a candidate's verdict; what was not measured at all does not pass."""
    required = [reaches_threshold(one) for one in candidate.dimensions if one.required]
    return bool(required) and all(required)


def reasons(candidate: ScoredCandidate) -> list[str]:
    """Derive why a candidate did not pass, in the words of the record."""
    return [
        f"{one.name}:{'below_threshold' if one.status is MeasureStatus.ok else one.status.value}"
        for one in candidate.dimensions
        if one.required and not reaches_threshold(one)
    ]


def _word(passed: bool) -> str:  # noqa: FBT001 (the one thing it is about)
    return "passed" if passed else "not passed"
