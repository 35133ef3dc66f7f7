"""The decisions on a task run: the steps of each message, and the one place that folds what they decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final, TypeAlias, assert_never

from services.router.domain.attempt_results import record_result
from services.router.domain.attempts import free_candidates, note_reference, submit
from services.router.domain.chunks import note_scores, send_chunks
from services.router.domain.evolve import evolve
from services.router.domain.market import MarketSnapshot
from services.router.domain.messages import (
    PRIVATE_EVENTS,
    UPCASTERS,
    AttemptAccepted,
    AttemptReturned,
    AttemptSlow,
    DispatchAttempts,
    EarlyCancelNoted,
    Observed,
    RunDismissed,
    RunFunded,
    RunMessage,
    RunOpened,
)
from services.router.domain.rounds import conclude, plan_first
from services.router.domain.run import Phase, Run
from services.router.domain.run_end import end_cancelled
from winnow.contracts.decider import Decider, Tick
from winnow.contracts.envelope import Event, Message
from winnow.contracts.events import (
    CandidatesScored,
    TaskAccepted,
    TaskCancelled,
    TaskCancelRequested,
    TaskFunded,
    TaskRejected,
    TaskUnfunded,
)

Step: TypeAlias = Callable[[Run], Sequence[Message]]
"""Part of a decision: the messages that a state leads to."""


def decide(run: Run, message: RunMessage, now: datetime) -> Sequence[Message]:
    """Return what ``message`` leads to; a repeated or late message leads to nothing or to less.

    Each step sees the state after the steps before it.
    """
    decided: list[Message] = []
    for step in _steps(run, message, now):
        messages = step(run)
        for event in messages:
            if isinstance(event, Event):
                run = evolve(run, event, now)
        decided.extend(messages)
    return tuple(decided)


def due_at(run: Run) -> datetime | None:
    """Return when the run wants to hear that time has passed: its deadline."""
    if run.phase is Phase.running and run.order is not None:
        return run.order.deadline_at
    return None


def is_final(run: Run) -> bool:
    """Return whether nothing more can happen: it has ended and no attempt is out."""
    if run.phase is Phase.dismissed:
        return True
    ended = run.phase in {Phase.selected, Phase.failed, Phase.cancelled}
    return ended and not run.outstanding


def _steps(run: Run, message: RunMessage, now: datetime) -> Sequence[Step]:  # noqa: PLR0911 (one return a message)
    """Return the steps that a message leads through, in order."""
    match message:
        case Observed():
            return _steps_of_fact(run, message, now)
        case DispatchAttempts():
            submits = [partial(submit, batch=batch, now=now) for batch in message.batches]
            return (*submits, partial(conclude, market=message.market, now=now))
        case AttemptAccepted():
            return (partial(note_reference, accepted=message),)
        case AttemptSlow():
            return (partial(free_candidates, slow=message),)
        case AttemptReturned():
            if not run.awaits(message.attempt_id):
                return ()
            record = partial(record_result, returned=message)
            return (record, send_chunks, partial(conclude, market=message.market, now=now))
        case Tick():
            return (partial(conclude, market=None, now=now),)
        case _:
            assert_never(message)


def _steps_of_fact(run: Run, observed: Observed, now: datetime) -> Sequence[Step]:
    fact, market = observed.event, observed.market
    match fact:
        case TaskAccepted():
            return (partial(_open, order=fact, observed=observed), partial(_start, market=market, now=now))
        case TaskFunded():
            return (partial(_fund, funded=fact), partial(_start, market=market, now=now))
        case TaskCancelRequested():
            return (_cancel,)
        case TaskUnfunded() | TaskRejected() | TaskCancelled():
            return (partial(_dismiss, reason=fact.type),)
        case CandidatesScored():
            if run.phase is not Phase.running or fact.chunk_id not in run.chunks:
                return ()
            return (partial(note_scores, scored=fact), send_chunks, partial(conclude, market=market, now=now))
        case _:
            assert_never(fact)


def _open(run: Run, order: TaskAccepted, observed: Observed) -> Sequence[Message]:
    if run.phase is not Phase.unseen:
        return ()
    opened = RunOpened(
        accepted=order,
        policy=observed.policy,
        correlation_id=observed.correlation_id,
        traceparent=observed.traceparent,
    )
    return (opened,)


def _fund(run: Run, funded: TaskFunded) -> Sequence[Message]:
    if run.phase not in {Phase.unseen, Phase.accepted} or run.funded_at is not None:
        return ()
    return (RunFunded(reserved_credits_micro=funded.reserved_credits_micro),)


def _dismiss(run: Run, reason: str) -> Sequence[Message]:
    return (RunDismissed(reason=reason),) if run.phase in {Phase.unseen, Phase.accepted} else ()


def _start(run: Run, market: MarketSnapshot, now: datetime) -> Sequence[Message]:
    """Begin once the order and its funding are both known: they may stand in the record in either order."""
    if run.cancel_seen and run.order is not None:
        return _cancel(run)
    if run.phase is Phase.running and not run.candidates:
        return plan_first(run, market, now)
    return ()


def _cancel(run: Run) -> Sequence[Message]:
    match run.phase:
        case Phase.unseen:
            # Whose end it is depends on whether the funding stands before the acceptance, which is still to come.
            return () if run.cancel_seen else (EarlyCancelNoted(),)
        case Phase.accepted:
            # Asked before the money was reserved: the end is ingest's, by its place in the record.
            return (RunDismissed(reason="cancelled_before_funding"),)
        case Phase.running:
            return end_cancelled(run)
        case _:
            return ()


DECIDER: Final = Decider(
    producer="router",
    state_type=Run,
    state_version=2,
    private_events=PRIVATE_EVENTS,
    upcasters=UPCASTERS,
    stores_finals=False,
    initial=Run,
    decide=decide,
    evolve=evolve,
    due_at=due_at,
    is_final=is_final,
)
"""The rules of a task run."""
