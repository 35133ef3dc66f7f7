"""The end of a task before it is funded: ingest alone decides it, by the order of the record.

A cancel that stands in the record before ``task.funded`` is decided here; a cancel that stands after it is
the router's. A deadline that passes without an answer of the ledger is first recorded as a cancel request.
The same rule then decides it, and two owners never end one task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal

from winnow.contracts.commands import ReleaseCredits
from winnow.contracts.decider import Decider, Tick
from winnow.contracts.envelope import Event, Instant, Message
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import (
    TaskAccepted,
    TaskCancelled,
    TaskCancelRequested,
    TaskFunded,
    TaskRejected,
    TaskUnfunded,
)
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.money import Micro
from winnow.contracts.upcast import Upcaster
from winnow.contracts.values import ProviderCost


class Phase(StrEnum):
    """Progress of a task as ingest has seen it."""

    unseen = "unseen"
    open = "open"
    funded = "funded"
    ended = "ended"


class TaskOpened(Event):
    """The record shows the task accepted: from here ingest waits for its funding."""

    type: Literal["ingest.task_opened"] = "ingest.task_opened"
    version: Literal[1] = 1
    account_id: str
    reservation_id: str
    deadline_at: Instant


class FundingNoted(Event):
    """The record shows the task funded: the router owns its end."""

    type: Literal["ingest.funding_noted"] = "ingest.funding_noted"
    version: Literal[1] = 1


class EarlyCancelNoted(Event):
    """A cancel request stands in the record before the acceptance it is about."""

    type: Literal["ingest.early_cancel_noted"] = "ingest.early_cancel_noted"
    version: Literal[1] = 1


class EarlyRefusalNoted(Event):
    """The ledger's refusal stands in the record before the acceptance it is about."""

    type: Literal["ingest.early_refusal_noted"] = "ingest.early_refusal_noted"
    version: Literal[1] = 1
    code: ErrorCode
    shortfall_credits_micro: Micro


FUNDING_EVENTS: Final[tuple[type[Event], ...]] = (
    TaskOpened,
    FundingNoted,
    EarlyCancelNoted,
    EarlyRefusalNoted,
)

FUNDING_UPCASTERS: Final[tuple[Upcaster, ...]] = ()
"""The steps that lift older versions of the workflow's events."""


@dataclass(frozen=True, slots=True)
class FundingState:
    """State of a task for later decisions."""

    task_id: str
    phase: Phase = Phase.unseen
    account_id: str = ""
    reservation_id: str = ""
    deadline_at: datetime | None = None
    cancel_seen: bool = False
    overdue_seen: bool = False
    refusal: EarlyRefusalNoted | None = None


def decide_funding(state: FundingState, message: object) -> Sequence[Message]:  # noqa: PLR0911 (one per message)
    """Return what a message about a task makes ingest record: nothing once the end is not ingest's any more."""
    if state.phase in {Phase.funded, Phase.ended}:
        return ()
    match message:
        case TaskAccepted():
            return _on_accepted(state, message)
        case TaskFunded():
            return (FundingNoted(),)
        case TaskUnfunded():
            return _on_unfunded(state, message)
        case TaskCancelRequested():
            return _on_cancel(state)
        case Tick() if state.phase is Phase.open and not state.overdue_seen:
            return (TaskCancelRequested(task_id=state.task_id, account_id=state.account_id),)
        case _:
            return ()


def evolve_funding(state: FundingState, event: Event) -> FundingState:  # noqa: PLR0911 (one per event)
    """Fold one event of ingest's own journal."""
    match event:
        case TaskOpened():
            return replace(
                state,
                phase=Phase.open,
                account_id=event.account_id,
                reservation_id=event.reservation_id,
                deadline_at=event.deadline_at,
            )
        case FundingNoted():
            return replace(state, phase=Phase.funded)
        case EarlyCancelNoted():
            return replace(state, cancel_seen=True)
        case EarlyRefusalNoted():
            return replace(state, refusal=event)
        case TaskCancelRequested():
            return replace(state, overdue_seen=True)
        case TaskRejected() | TaskCancelled():
            return replace(state, phase=Phase.ended)
        case _:
            return state


def due_at(state: FundingState) -> datetime | None:
    """Return the deadline of a task that still waits for the ledger."""
    waits = state.phase is Phase.open and not state.overdue_seen
    return state.deadline_at if waits else None


def is_final(state: FundingState) -> bool:
    """Return whether ingest has nothing more to decide about the task."""
    return state.phase in {Phase.funded, Phase.ended}


def _on_accepted(state: FundingState, accepted: TaskAccepted) -> Sequence[Message]:
    if state.phase is not Phase.unseen:
        return ()
    opened = TaskOpened(
        account_id=accepted.account_id,
        reservation_id=accepted.reservation_id,
        deadline_at=accepted.deadline_at,
    )
    now_open = evolve_funding(state, opened)
    if state.refusal is not None:
        return opened, _rejected(now_open, state.refusal.code, state.refusal.shortfall_credits_micro)
    if state.cancel_seen:
        return opened, *_cancelled(now_open)
    return (opened,)


def _on_unfunded(state: FundingState, unfunded: TaskUnfunded) -> Sequence[Message]:
    if state.phase is Phase.open:
        return (_rejected(state, unfunded.code, unfunded.shortfall_credits_micro),)
    return (EarlyRefusalNoted(code=unfunded.code, shortfall_credits_micro=unfunded.shortfall_credits_micro),)


def _on_cancel(state: FundingState) -> Sequence[Message]:
    if state.phase is Phase.open:
        return _cancelled(state)
    return () if state.cancel_seen else (EarlyCancelNoted(),)


def _rejected(state: FundingState, code: ErrorCode, shortfall_credits_micro: int) -> TaskRejected:
    return TaskRejected(
        task_id=state.task_id,
        account_id=state.account_id,
        code=code,
        shortfall_credits_micro=shortfall_credits_micro,
    )


def _cancelled(state: FundingState) -> Sequence[Message]:
    # Nothing is known to be held yet; what the ledger did release stands in task.settled.
    cancelled = TaskCancelled(
        task_id=state.task_id, account_id=state.account_id, stage="ingest", released_credits_micro=0
    )
    release = ReleaseCredits(
        command_id=derive_id(Prefix.command, "release", state.task_id, "ingest"),
        account_id=state.account_id,
        reservation_id=state.reservation_id,
        task_id=state.task_id,
        cost=ProviderCost(),
        reason="cancelled_before_funding",
    )
    return cancelled, release


FUNDING_DECIDER: Final = Decider(
    producer="ingest",
    state_type=FundingState,
    state_version=1,
    private_events=FUNDING_EVENTS,
    upcasters=FUNDING_UPCASTERS,
    stores_finals=False,
    initial=FundingState,
    decide=lambda state, message, _: decide_funding(state, message),
    evolve=lambda state, event, _: evolve_funding(state, event),
    due_at=due_at,
    is_final=is_final,
)
"""The rules of the funding of a task, by partition of the record."""
