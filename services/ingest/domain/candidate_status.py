"""Moves of a task's candidates by its events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from services.ingest.domain.views import CandidateState, CandidateStatus
from winnow.contracts.events import (
    AttemptSubmitted,
    CandidatesFailed,
    CandidatesGenerated,
    CandidatesScored,
    RoundPlanned,
    TaskDelivered,
    TaskEvent,
    TaskPartiallyDelivered,
    TaskSelected,
)

_ORDER: Final = {state: place for place, state in enumerate(CandidateState)}
"""A candidate only moves forward, so that a late event never takes it back."""


@dataclass(frozen=True, slots=True)
class StatusChange:
    """The candidates after an event, and the details that the event tells about some of them."""

    statuses: Mapping[str, CandidateStatus]
    details: Mapping[str, Mapping[str, Any]]


def status_after(statuses: Mapping[str, CandidateStatus], event: TaskEvent) -> StatusChange:
    """Return the candidates of a task after an event; the mapping itself when the event is about none."""
    details = _details(event)
    if not details:
        return StatusChange(statuses, {})
    after = dict(statuses)
    for candidate_id, (reached, offering, facts) in details.items():
        status = after.get(candidate_id, CandidateStatus(CandidateState.planned))
        state = reached if _ORDER[reached] >= _ORDER[status.state] else status.state
        reasons = tuple(facts["reasons"]) if "reasons" in facts else status.reasons
        after[candidate_id] = replace(
            status, state=state, offering=offering or status.offering, reasons=reasons
        )
    return StatusChange(after, {key: facts for key, (_, _, facts) in details.items()})


Detail = tuple[CandidateState, str, dict[str, Any]]


def _details(event: TaskEvent) -> dict[str, Detail]:  # noqa: PLR0911 (one per event type)
    match event:
        case RoundPlanned():
            return {
                candidate.candidate_id: (
                    CandidateState.planned,
                    "",
                    {"round_index": event.round_index, "index": candidate.index, "seed": candidate.seed},
                )
                for candidate in event.candidates
            }
        case AttemptSubmitted():
            facts = {"offering": event.offering, "provider": event.provider}
            return {
                candidate_id: (CandidateState.generating, event.offering, dict(facts))
                for candidate_id in event.candidate_ids
            }
        case CandidatesGenerated():
            return _generated(event)
        case CandidatesFailed():
            return {
                candidate.candidate_id: (
                    CandidateState.generation_failed,
                    "",
                    {"reasons": [candidate.reason]},
                )
                for candidate in event.candidates
            }
        case CandidatesScored():
            return _scored(event)
        case TaskSelected():
            return _selected(event)
        case TaskDelivered() | TaskPartiallyDelivered():
            return {
                output.candidate_id: (CandidateState.delivered, "", {"output_id": output.output_id})
                for output in event.outputs
            }
        case _:
            return {}


def _generated(event: CandidatesGenerated) -> dict[str, Detail]:
    return {
        candidate.candidate_id: (
            CandidateState.generated,
            event.offering,
            {
                "offering": event.offering,
                "seed": candidate.seed,
                "width": candidate.stored.width,
                "height": candidate.stored.height,
                "stored": candidate.stored.model_dump(mode="json"),
            },
        )
        for candidate in event.candidates
    }


def _scored(event: CandidatesScored) -> dict[str, Detail]:
    return {
        verdict.candidate_id: (
            CandidateState.passed if verdict.passed else CandidateState.rejected,
            "",
            {
                "passed": verdict.passed,
                "score": verdict.score,
                "reasons": list(verdict.reasons),
                "dimensions": [dimension.model_dump(mode="json") for dimension in verdict.dimensions],
                "profile": event.profile.name,
                "profile_version": event.profile.version,
                "scorer_version": event.scorer_version,
            },
        )
        for verdict in event.candidates
    }


def _selected(event: TaskSelected) -> dict[str, Detail]:
    chosen: dict[str, Detail] = {
        candidate.candidate_id: (CandidateState.selected, "", {"rank": candidate.rank})
        for candidate in event.selected
    }
    set_aside: dict[str, Detail] = {
        candidate.candidate_id: (
            CandidateState.set_aside,
            "",
            {"set_aside_reason": candidate.reason, "set_aside_like": candidate.like},
        )
        for candidate in event.set_aside
    }
    return chosen | set_aside
