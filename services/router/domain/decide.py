"""The decisions on a task run: what each message leads to, and exactly one end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import assert_never

from services.router.domain.chunks import send_chunks
from services.router.domain.closing import conclude, plan_first, release
from services.router.domain.draft import Draft
from services.router.domain.market import Market
from services.router.domain.planning import affordable_count
from services.router.domain.returning import fail_candidates, take_back
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
    draft = Draft(run, now)
    match message:
        case Observed():
            _observe(draft, message)
        case DispatchAttempts():
            _dispatch(draft, message)
        case AttemptAccepted():
            _take(draft, message)
        case AttemptSlow():
            _slow(draft, message)
        case AttemptReturned():
            take_back(draft, message)
        case TimePassed():
            conclude(draft, None)
        case _:
            assert_never(message)
    return tuple(draft.messages)


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


def _observe(draft: Draft, message: Observed) -> None:
    run = draft.run
    match message.event:
        case TaskAccepted():
            if run.phase is Phase.unseen:
                draft.add(
                    RunOpened(
                        accepted=message.event,
                        policy=message.policy,
                        correlation_id=message.correlation_id,
                        traceparent=message.traceparent,
                    )
                )
                _start(draft, message.market)
        case TaskFunded():
            if run.phase in {Phase.unseen, Phase.accepted} and run.funded_at is None:
                draft.add(RunFunded(reserved_credits_micro=message.event.reserved_credits_micro))
                _start(draft, message.market)
        case TaskCancelRequested():
            _cancel(draft)
        case TaskUnfunded() | TaskRejected() | TaskCancelled():
            if run.phase in {Phase.unseen, Phase.accepted}:
                draft.add(RunDismissed(reason=message.event.type))
        case CandidatesScored():
            _note_scores(draft, message.event, message.market)
        case _:
            assert_never(message.event)


def _start(draft: Draft, market: Market) -> None:
    """Begin once the order and its funding are both known: they may stand in the record in either order."""
    run = draft.run
    if run.phase is Phase.running and not run.cancel_seen:
        plan_first(draft, market)
    elif run.cancel_seen and run.order is not None:
        _cancel(draft)


def _cancel(draft: Draft) -> None:
    run = draft.run
    if run.phase is Phase.unseen:
        # Whose end it is depends on whether the funding stands before the acceptance, which is still to come.
        if not run.cancel_seen:
            draft.add(EarlyCancelNoted())
    elif run.phase is Phase.accepted:
        # Asked before the money was reserved: the end is ingest's, by its place in the record.
        draft.add(RunDismissed(reason="cancelled_before_funding"))
    elif run.phase is Phase.running and run.order is not None:
        draft.add(
            TaskCancelled(
                task_id=run.order.task_id,
                account_id=run.order.account_id,
                stage="router",
                released_credits_micro=run.reserved_credits_micro,
            )
        )
        release(draft, "cancelled")


def _note_scores(draft: Draft, event: CandidatesScored, market: Market) -> None:
    if draft.run.phase is not Phase.running or event.chunk_id not in draft.run.chunks:
        return
    noted = [
        NotedScore(
            candidate_id=candidate.candidate_id,
            passed=candidate.passed,
            score=candidate.score,
            perceptual_hash=candidate.perceptual_hash,
        )
        for candidate in event.candidates
        if candidate.candidate_id in draft.run.chunks[event.chunk_id]
    ]
    draft.add(ScoresNoted(chunk_id=event.chunk_id, candidates=noted))
    send_chunks(draft)
    conclude(draft, market)


def _dispatch(draft: Draft, message: DispatchAttempts) -> None:
    if draft.run.phase is not Phase.running or draft.run.order is None:
        return
    if draft.now >= draft.run.order.deadline_at:
        conclude(draft, message.market)
        return
    for batch in message.batches:
        _submit(draft, batch, draft.run.order.cost_cap_usd_micro)
    conclude(draft, message.market)


def _submit(draft: Draft, batch: Batch, cap_usd_micro: int) -> None:
    run = draft.run
    order = draft.order
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
            fail_candidates(draft, [candidate.candidate_id for candidate in waiting], "cost_cap_reached")
        return
    draft.add(
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


def _take(draft: Draft, message: AttemptAccepted) -> None:
    attempt = draft.run.attempts.get(message.attempt_id)
    if attempt is not None and attempt.outcome is None and attempt.reference is None:
        draft.add(
            AttemptTaken(
                attempt_id=message.attempt_id,
                provider_reference=message.reference,
                handle=dict(message.handle),
            )
        )


def _slow(draft: Draft, message: AttemptSlow) -> None:
    """Free the candidates of a slow attempt for another offering; its late result is still used."""
    run = draft.run
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
        draft.add(AttemptOverdue(attempt_id=attempt.attempt_id, candidate_ids=freed))
