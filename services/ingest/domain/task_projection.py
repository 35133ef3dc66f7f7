"""The fold of the read model: one event of a task changes its view, its candidates and its event list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from services.ingest.domain.candidate_status import StatusChange, status_after
from services.ingest.domain.public import public_fields
from services.ingest.domain.views import (
    EndView,
    OutputView,
    RoundView,
    RouteView,
    Settlement,
    TaskView,
    Terms,
)
from winnow.contracts.envelope import RecordedMessage
from winnow.contracts.events import (
    AttemptFinished,
    AttemptSubmitted,
    CandidatesGenerated,
    CandidatesScored,
    RoundClosed,
    RoundPlanned,
    TaskAccepted,
    TaskCancelled,
    TaskCancelRequested,
    TaskDelivered,
    TaskEvent,
    TaskFailed,
    TaskFunded,
    TaskPartiallyDelivered,
    TaskRejected,
    TaskSelected,
    TaskSettled,
)
from winnow.contracts.states import TaskState, next_state
from winnow.contracts.values import OutcomeClass, Output


@dataclass(frozen=True, slots=True)
class PublicEvent:
    """An event as clients see it; ``number`` counts the events of a task from 1 and is the SSE id."""

    event_id: str
    task_id: str
    account_id: str
    number: int
    type: str
    occurred_at: datetime
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ViewChange:
    """Changes of one record: the view, fields of candidates by id, and the public event (None: a repeat)."""

    view: TaskView
    patches: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    event: PublicEvent | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Start of a page, its length, and the states it holds (None: all)."""

    after: tuple[int, str] | None
    limit: int
    state: str | None = None


def fold(view: TaskView | None, recorded: RecordedMessage[TaskEvent], offset: int) -> ViewChange:
    """Fold a record into a view; a record at or below the view's offset, or a repeated event, changes nothing."""
    event, envelope = recorded.message, recorded.envelope
    before = view or TaskView(task_id=event.task_id, account_id=event.account_id)
    if offset <= before.offset:
        return ViewChange(before)
    source = f"{envelope.producer}/{envelope.subject}"
    if _is_repeat(before, recorded, source):
        return ViewChange(replace(before, offset=offset))
    at = envelope.occurred_at
    change = status_after(before.candidates, event)
    after = _with_routes(_with_details(before, event, at), event, before)
    after = _with_state(after, event.type)
    number = before.events_count + 1
    after = replace(
        after,
        offset=offset,
        sequences={**before.sequences, source: envelope.sequence} if envelope.sequence else before.sequences,
        events_count=number,
        updated_at=at,
        candidates=change.statuses,
    )
    public = PublicEvent(
        envelope.event_id, event.task_id, event.account_id, number, event.type, at, public_fields(event)
    )
    return ViewChange(after, _patches(change), public)


def _is_repeat(view: TaskView, recorded: RecordedMessage[TaskEvent], source: str) -> bool:
    sequence = recorded.envelope.sequence
    if sequence and sequence <= view.sequences.get(source, 0):
        return True
    match recorded.message:
        case CandidatesScored(chunk_id=chunk_id):
            # The first verdict of a chunk wins; a second scorer may have given it again.
            return chunk_id in view.chunks
        case TaskSettled():
            return view.settlement is not None
        case _:
            return False


def _with_state(view: TaskView, event_type: str) -> TaskView:
    if view.state is None and event_type != "task.accepted":
        return replace(view, early=(*view.early, event_type))
    state = next_state(view.state, event_type)
    if state is None:
        return replace(view, out_of_order_count=view.out_of_order_count + 1)
    early, view = view.early, replace(view, state=state, early=())
    for event in early:
        view = _with_state(view, event)
    return view


def _with_details(view: TaskView, event: TaskEvent, at: datetime) -> TaskView:
    change = _CHANGES.get(type(event))
    return change(view, event, at) if change else view


def _accepted(view: TaskView, event: TaskAccepted, at: datetime) -> TaskView:
    terms = Terms(
        template=event.template.name,
        template_version=event.template.version,
        mode=event.mode.value,
        profile=event.profile.name,
        profile_version=event.profile.version,
        k=event.k,
        width=event.width,
        height=event.height,
        price_per_output_credits_micro=event.price_per_output_credits_micro,
        reserve_credits_micro=event.reserve_credits_micro,
        price_rule=event.price_rule,
        cost_cap_usd_micro=event.cost_cap_usd_micro,
        deadline_at=event.deadline_at,
        priority=event.priority,
        label=event.label,
        inputs_count=len(event.inputs),
        reservation_id=event.reservation_id,
        accepted_at=at,
    )
    return replace(view, terms=terms)


def _cancel_requested(view: TaskView, _event: TaskCancelRequested, at: datetime) -> TaskView:
    return replace(view, cancel_requested_at=view.cancel_requested_at or at)


def _funded(view: TaskView, event: TaskFunded, at: datetime) -> TaskView:
    return replace(view, funded_at=at, reserved_credits_micro=event.reserved_credits_micro)


def _round_planned(view: TaskView, event: RoundPlanned, _at: datetime) -> TaskView:
    planned = RoundView(event.round_index, len(event.candidates), event.wanted_count, event.reason)
    others = tuple(round_view for round_view in view.rounds if round_view.round_index != event.round_index)
    return replace(view, rounds=(*others, planned))


def _round_closed(view: TaskView, event: RoundClosed, _at: datetime) -> TaskView:
    rounds = tuple(
        replace(
            round_view,
            generated_count=event.generated_count,
            passed_count=event.passed_count,
            failed_count=event.failed_count,
            decision=event.decision.value,
            decision_reason=event.reason,
        )
        if round_view.round_index == event.round_index
        else round_view
        for round_view in view.rounds
    )
    return replace(view, rounds=rounds)


def _scored(view: TaskView, event: CandidatesScored, _at: datetime) -> TaskView:
    return replace(view, chunks=(*view.chunks, event.chunk_id))


def _selected(view: TaskView, event: TaskSelected, _at: datetime) -> TaskView:
    # The router's own table is the exact one: it also knows attempts whose events are still on their way.
    routes = {
        line.offering: replace(
            view.routes.get(line.offering, RouteView(line.offering, line.provider)),
            attempts_count=line.attempts_count,
            candidates_count=line.candidates_count,
            passed_count=line.passed_count,
            expected_cost_usd_micro=line.expected_cost_usd_micro,
            actual_cost_usd_micro=line.actual_cost_usd_micro,
        )
        for line in event.routes
    }
    return replace(view, routes={**view.routes, **routes})


def _output(output: Output) -> OutputView:
    return OutputView(
        output.output_id,
        output.candidate_id,
        output.rank,
        output.score,
        output.stored.content_type,
        output.stored.width,
        output.stored.height,
        output.stored.size_bytes,
        output.stored.sha256,
    )


def _delivered(view: TaskView, event: TaskDelivered, at: datetime) -> TaskView:
    return replace(view, outputs=tuple(map(_output, event.outputs)), end=EndView(at))


def _partially_delivered(view: TaskView, event: TaskPartiallyDelivered, at: datetime) -> TaskView:
    end = EndView(at, reason=event.reason, missing_count=event.missing_count)
    return replace(view, outputs=tuple(map(_output, event.outputs)), end=end)


def _failed(view: TaskView, event: TaskFailed, at: datetime) -> TaskView:
    return replace(view, end=EndView(at, code=event.code.value, reason=event.reason, stage=event.stage))


def _cancelled(view: TaskView, event: TaskCancelled, at: datetime) -> TaskView:
    return replace(view, end=EndView(at, stage=event.stage))


def _rejected(view: TaskView, event: TaskRejected, at: datetime) -> TaskView:
    end = EndView(at, code=event.code.value, shortfall_credits_micro=event.shortfall_credits_micro)
    return replace(view, end=end)


def _settled(view: TaskView, event: TaskSettled, at: datetime) -> TaskView:
    settlement = Settlement(
        at=at,
        reserved_credits_micro=event.reserved_credits_micro,
        settled_credits_micro=event.settled_credits_micro,
        released_credits_micro=event.released_credits_micro,
        delivered_count=event.delivered_count,
        price_per_output_credits_micro=event.price_per_output_credits_micro,
        expected_cost_usd_micro=event.cost.expected_usd_micro,
        actual_cost_usd_micro=event.cost.actual_usd_micro,
        attempts_count=event.cost.attempts_count,
        reason=event.reason,
    )
    return replace(view, settlement=settlement)


_CHANGES: Final[Mapping[type[TaskEvent], Callable[[TaskView, Any, datetime], TaskView]]] = {
    TaskAccepted: _accepted,
    TaskCancelRequested: _cancel_requested,
    TaskFunded: _funded,
    RoundPlanned: _round_planned,
    RoundClosed: _round_closed,
    CandidatesScored: _scored,
    TaskSelected: _selected,
    TaskDelivered: _delivered,
    TaskPartiallyDelivered: _partially_delivered,
    TaskFailed: _failed,
    TaskCancelled: _cancelled,
    TaskRejected: _rejected,
    TaskSettled: _settled,
}


def _with_routes(view: TaskView, event: TaskEvent, before: TaskView) -> TaskView:
    """Count attempts, candidates and costs by offering, until the router's own table replaces them."""
    if before.state not in {None, TaskState.funded, TaskState.generating, TaskState.accepted}:
        return view
    routes = dict(view.routes)
    match event:
        case AttemptSubmitted():
            route = routes.get(event.offering, RouteView(event.offering, event.provider))
            routes[event.offering] = replace(
                route,
                attempts_count=route.attempts_count + 1,
                expected_cost_usd_micro=route.expected_cost_usd_micro + event.expected_cost_usd_micro,
            )
        case AttemptFinished():
            route = routes.get(event.offering, RouteView(event.offering, event.provider))
            routes[event.offering] = replace(
                route,
                failed_attempts_count=route.failed_attempts_count
                + (event.outcome is not OutcomeClass.succeeded),
                actual_cost_usd_micro=route.actual_cost_usd_micro + event.actual_cost_usd_micro,
            )
        case CandidatesGenerated() if event.offering in routes:
            route = routes[event.offering]
            routes[event.offering] = replace(
                route, candidates_count=route.candidates_count + len(event.candidates)
            )
        case CandidatesScored():
            for candidate in event.candidates:
                status = before.candidates.get(candidate.candidate_id)
                if candidate.passed and status is not None and status.offering in routes:
                    route = routes[status.offering]
                    routes[status.offering] = replace(route, passed_count=route.passed_count + 1)
        case _:
            return view
    return replace(view, routes=routes)


def _patches(change: StatusChange) -> Mapping[str, Mapping[str, Any]]:
    """Return what changes in candidates, with the state they now have."""
    patches: dict[str, Mapping[str, Any]] = {}
    for candidate_id, details in change.details.items():
        status = change.statuses[candidate_id]
        patches[candidate_id] = {**details, "state": status.state.value, "reasons": list(status.reasons)}
    return patches
