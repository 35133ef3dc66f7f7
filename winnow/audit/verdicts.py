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
    for candidate in selected.selected:
        if candidate.candidate_id not in scores:
            yield Finding(
                _CHECK, selected.task_id, f"{candidate.candidate_id} was selected and has not passed"
            )
        elif candidate.score != scores[candidate.candidate_id]:
            text = (
                f"{candidate.candidate_id} was selected with score {candidate.score}, its verdict gave"
                f" {scores[candidate.candidate_id]}"
            )
            yield Finding(_CHECK, selected.task_id, text)
    ranks = [candidate.rank for candidate in selected.selected]
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
    required = [reaches_threshold(measured) for measured in candidate.dimensions if measured.required]
    return bool(required) and all(required)


def reasons(candidate: ScoredCandidate) -> list[str]:
    """Derive why a candidate did not pass, in the words of the record."""
    return [
        f"{measured.name}:{'below_threshold' if measured.status is MeasureStatus.ok else measured.status.value}"
        for measured in candidate.dimensions
        if measured.required and not reaches_threshold(measured)
    ]


def _word(passed: bool) -> str:  # noqa: FBT001 (the one thing it is about)
    return "passed" if passed else "not passed"
