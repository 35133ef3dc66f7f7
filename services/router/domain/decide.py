"""The decisions on a task run: what each message leads to, and exactly one end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import assert_never

from services.router.domain.attempt_results import fail_candidates, record_result
from services.router.domain.chunks import send_chunks
from services.router.domain.decision_builder import RunDecisionBuilder
from services.router.domain.market import MarketSnapshot
from services.router.domain.planning import affordable_count
from services.router.domain.rounds import conclude, plan_first, release
from services.router.domain.run import (
    AttemptAccepted,
    AttemptOverdue,
    AttemptReturned,
    AttemptSlow,
    AttemptTaken,
    Batch,
    CandidateState,
    DispatchAttempts,
    EarlyCancelNoted,
    NotedScore,
    Observed,
    Phase,
    Run,
    RunDismissed,
    RunFunded,
    RunMessage,
    RunOpened,
    ScoresNoted,
    TimePassed,
)
from winnow.contracts.envelope import Message
from winnow.contracts.events import (
    AttemptSubmitted,
    CandidatesScored,
    TaskAccepted,
    TaskCancelled,
    TaskCancelRequested,
    TaskFunded,
    TaskRejected,
    TaskUnfunded,
)
from winnow.contracts.ids import Prefix, derive_id


def decide(run: Run, message: RunMessage, now: datetime) -> Sequence[Message]:
    """Return what ``message`` leads to; a repeated or late message leads to nothing or to less."""
    builder = RunDecisionBuilder(run, now)
    match message:
        case Observed():
            _observe(builder, message)
        case DispatchAttempts():
            _dispatch(builder, message)
        case AttemptAccepted():
            _take(builder, message)
        case AttemptSlow():
            _slow(builder, message)
        case AttemptReturned():
            record_result(builder, message)
        case TimePassed():
            conclude(builder, None)
        case _:
            assert_never(message)
    return tuple(builder.messages)


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


def _observe(builder: RunDecisionBuilder, message: Observed) -> None:
    run = builder.run
    match message.event:
        case TaskAccepted():
            if run.phase is Phase.unseen:
                builder.add(
                    RunOpened(
                        accepted=message.event,
                        policy=message.policy,
                        correlation_id=message.correlation_id,
                        traceparent=message.traceparent,
                    )
                )
                _start(builder, message.market)
        case TaskFunded():
            if run.phase in {Phase.unseen, Phase.accepted} and run.funded_at is None:
                builder.add(RunFunded(reserved_credits_micro=message.event.reserved_credits_micro))
                _start(builder, message.market)
        case TaskCancelRequested():
            _cancel(builder)
        case TaskUnfunded() | TaskRejected() | TaskCancelled():
            if run.phase in {Phase.unseen, Phase.accepted}:
                builder.add(RunDismissed(reason=message.event.type))
        case CandidatesScored():
            _note_scores(builder, message.event, message.market)
        case _:
            assert_never(message.event)


def _start(builder: RunDecisionBuilder, market: MarketSnapshot) -> None:
    """Begin once the order and its funding are both known: they may stand in the record in either order."""
    run = builder.run
    if run.phase is Phase.running and not run.cancel_seen:
        plan_first(builder, market)
    elif run.cancel_seen and run.order is not None:
        _cancel(builder)


def _cancel(builder: RunDecisionBuilder) -> None:
    run = builder.run
    if run.phase is Phase.unseen:
        # Whose end it is depends on whether the funding stands before the acceptance, which is still to come.
        if not run.cancel_seen:
            builder.add(EarlyCancelNoted())
    elif run.phase is Phase.accepted:
        # Asked before the money was reserved: the end is ingest's, by its place in the record.
        builder.add(RunDismissed(reason="cancelled_before_funding"))
    elif run.phase is Phase.running and run.order is not None:
        builder.add(
            TaskCancelled(
                task_id=run.order.task_id,
                account_id=run.order.account_id,
                stage="router",
                released_credits_micro=run.reserved_credits_micro,
            )
        )
        release(builder, "cancelled")


def _note_scores(builder: RunDecisionBuilder, event: CandidatesScored, market: MarketSnapshot) -> None:
    if builder.run.phase is not Phase.running or event.chunk_id not in builder.run.chunks:
        return
    noted = [
        NotedScore(
            candidate_id=candidate.candidate_id,
            passed=candidate.passed,
            score=candidate.score,
            perceptual_hash=candidate.perceptual_hash,
        )
        for candidate in event.candidates
        if candidate.candidate_id in builder.run.chunks[event.chunk_id]
    ]
    builder.add(ScoresNoted(chunk_id=event.chunk_id, candidates=noted))
    send_chunks(builder)
    conclude(builder, market)


def _dispatch(builder: RunDecisionBuilder, message: DispatchAttempts) -> None:
    if builder.run.phase is not Phase.running or builder.run.order is None:
        return
    if builder.now >= builder.run.order.deadline_at:
        conclude(builder, message.market)
        return
    for batch in message.batches:
        _submit(builder, batch, builder.run.order.cost_cap_usd_micro)
    conclude(builder, message.market)


def _submit(builder: RunDecisionBuilder, batch: Batch, cap_usd_micro: int) -> None:
    run = builder.run
    order = builder.order
    waiting = [
        run.candidates[candidate_id]
        for candidate_id in batch.candidate_ids
        if candidate_id in run.candidates and run.candidates[candidate_id].state is CandidateState.pending
    ]
    if not waiting:
        return
    affordable = affordable_count(
        batch.price_usd_micro,
        committed_usd_micro=run.committed_usd_micro,
        cap_usd_micro=cap_usd_micro,
    )
    chosen = waiting[:affordable]
    if not chosen:
        if not run.outstanding:
            # What is out may come back cheaper than expected; with nothing out, nothing will change.
            fail_candidates(builder, [candidate.candidate_id for candidate in waiting], "cost_cap_reached")
        return
    builder.add(
        AttemptSubmitted(
            task_id=order.task_id,
            account_id=order.account_id,
            attempt_id=derive_id(Prefix.attempt, order.task_id, len(run.attempts)),
            round_index=chosen[0].round_index,
            candidate_ids=[candidate.candidate_id for candidate in chosen],
            offering=batch.offering,
            provider=batch.provider,
            try_number=1 + max(len(candidate.tried) for candidate in chosen),
            expected_cost_usd_micro=batch.price_usd_micro * len(chosen),
            alternatives=list(batch.alternatives),
        )
    )


def _take(builder: RunDecisionBuilder, message: AttemptAccepted) -> None:
    attempt = builder.run.attempts.get(message.attempt_id)
    if attempt is not None and attempt.outcome is None and attempt.reference is None:
        builder.add(
            AttemptTaken(
                attempt_id=message.attempt_id,
                provider_reference=message.reference,
                handle=dict(message.handle),
            )
        )


def _slow(builder: RunDecisionBuilder, message: AttemptSlow) -> None:
    """Free the candidates of a slow attempt for another offering; its late result is still used."""
    run = builder.run
    attempt = run.attempts.get(message.attempt_id)
    if run.phase is not Phase.running or attempt is None or run.policy is None:
        return
    if attempt.outcome is not None or attempt.is_overdue:
        return
    freed = [
        candidate_id
        for candidate_id in attempt.candidate_ids
        if run.candidates[candidate_id].attempt_id == attempt.attempt_id
        and run.candidates[candidate_id].state is CandidateState.in_flight
        and len(run.candidates[candidate_id].tried) + 1 < run.policy.tries_max
    ]
    if freed:
        builder.add(AttemptOverdue(attempt_id=attempt.attempt_id, candidate_ids=freed))
