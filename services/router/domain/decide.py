"""The decisions on a task run: what each message leads to, and exactly one end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from services.router.domain.closing import conclude, plan_first, release
from services.router.domain.draft import Draft
from services.router.domain.market import Market
from services.router.domain.planning import affordable_count
from services.router.domain.run import (
    Attempt,
    AttemptAccepted,
    AttemptOverdue,
    AttemptReturned,
    AttemptSlow,
    AttemptTaken,
    Batch,
    CandidateState,
    ChunkSent,
    DispatchAttempts,
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
from winnow.contracts.commands import ScoreCandidates
from winnow.contracts.envelope import Message
from winnow.contracts.events import (
    AttemptFinished,
    AttemptSubmitted,
    CandidatesFailed,
    CandidatesGenerated,
    CandidatesScored,
    TaskAccepted,
    TaskCancelled,
    TaskCancelRequested,
    TaskFunded,
    TaskRejected,
    TaskUnfunded,
)
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.values import FailedCandidate, GeneratedCandidate, OutcomeClass

RETRIED = frozenset(
    {
        OutcomeClass.never_delivered,
        OutcomeClass.rejected_without_work,
        OutcomeClass.collectable,
    }
)
"""Only these may be tried again (ARCHITECTURE §5): an unknown outcome is never blindly paid twice."""


def decide(run: Run, message: RunMessage, now: datetime) -> Sequence[Message]:
    """Give what ``message`` leads to; a repeated or late message leads to nothing or to less."""
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
            _return(draft, message)
        case TimePassed():
            conclude(draft, None)
        case _:
            assert_never(message)
    return tuple(draft.messages)


def due_at(run: Run) -> datetime | None:
    """Give when the run wants to hear that time has passed: its deadline."""
    if run.phase is Phase.running and run.order is not None:
        return run.order.deadline_at
    return None


def is_final(run: Run) -> bool:
    """Say whether nothing more can happen: it has ended and no attempt is out."""
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
        case TaskFunded():
            if run.phase is Phase.accepted:
                draft.add(
                    RunFunded(reserved_credits_micro=message.event.reserved_credits_micro)
                )
                plan_first(draft, message.market)
        case TaskCancelRequested():
            _cancel(draft)
        case TaskUnfunded() | TaskRejected() | TaskCancelled():
            if run.phase in {Phase.unseen, Phase.accepted}:
                draft.add(RunDismissed(reason=message.event.type))
        case CandidatesScored():
            _note_scores(draft, message.event, message.market)
        case _:
            assert_never(message.event)


def _cancel(draft: Draft) -> None:
    run = draft.run
    if run.phase in {Phase.unseen, Phase.accepted}:
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
            candidate_id=one.candidate_id,
            passed=one.passed,
            score=one.score,
            perceptual_hash=one.perceptual_hash,
        )
        for one in event.candidates
        if one.candidate_id in draft.run.chunks[event.chunk_id]
    ]
    draft.add(ScoresNoted(chunk_id=event.chunk_id, candidates=noted))
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
        run.candidates[one]
        for one in batch.candidate_ids
        if one in run.candidates and run.candidates[one].state is CandidateState.pending
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
            _fail_candidates(draft, [one.candidate_id for one in waiting], "cost_cap_reached")
        return
    draft.add(
        AttemptSubmitted(
            task_id=order.task_id,
            account_id=order.account_id,
            attempt_id=derive_id(Prefix.attempt, order.task_id, len(run.attempts)),
            round_index=chosen[0].round_index,
            candidate_ids=[one.candidate_id for one in chosen],
            offering=batch.offering,
            provider=batch.provider,
            try_number=1 + max(len(one.tried) for one in chosen),
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
        one
        for one in attempt.candidate_ids
        if run.candidates[one].attempt_id == attempt.attempt_id
        and run.candidates[one].state is CandidateState.in_flight
        and len(run.candidates[one].tried) + 1 < run.policy.tries_max
    ]
    if freed:
        draft.add(AttemptOverdue(attempt_id=attempt.attempt_id, candidate_ids=freed))


@dataclass(slots=True)
class _Fates:
    """What becomes of an attempt's candidates."""

    generated: list[GeneratedCandidate] = field(default_factory=list)
    failed: list[FailedCandidate] = field(default_factory=list)
    retried: list[str] = field(default_factory=list)


def _return(draft: Draft, message: AttemptReturned) -> None:
    run = draft.run
    attempt = run.attempts.get(message.attempt_id)
    if attempt is None or attempt.outcome is not None:
        return
    fates = _Fates()
    if run.phase is Phase.running:
        fates = _fates(run, attempt, message)
    actual = message.actual_cost_usd_micro
    order = draft.order
    draft.add(
        AttemptFinished(
            task_id=order.task_id,
            account_id=order.account_id,
            attempt_id=attempt.attempt_id,
            round_index=attempt.round_index,
            offering=attempt.offering,
            provider=attempt.provider,
            outcome=message.outcome,
            reason=message.reason,
            provider_reference=message.reference or attempt.reference,
            expected_cost_usd_micro=attempt.expected_cost_usd_micro,
            actual_cost_usd_micro=attempt.expected_cost_usd_micro if actual is None else actual,
            latency_ms=message.latency_ms,
            will_retry=bool(fates.retried),
        )
    )
    _add_fates(draft, attempt, fates)
    conclude(draft, message.market)


def _fates(run: Run, attempt: Attempt, message: AttemptReturned) -> _Fates:
    """Sort an attempt's candidates; the first result of a candidate counts, a second is dropped."""
    fates = _Fates()
    brought = {one.candidate_id: one for one in message.generated}
    reasons = {one.candidate_id: one.reason for one in message.failed}
    tries_max = run.policy.tries_max if run.policy is not None else 1
    for candidate_id in attempt.candidate_ids:
        candidate = run.candidates[candidate_id]
        if candidate.state not in {CandidateState.pending, CandidateState.in_flight}:
            continue
        if candidate_id in brought:
            fates.generated.append(brought[candidate_id])
        elif candidate.attempt_id != attempt.attempt_id:
            continue
        elif message.outcome in RETRIED and len(candidate.tried) + 1 < tries_max:
            fates.retried.append(candidate_id)
        elif not _is_out_elsewhere(run, candidate_id, attempt):
            reason = reasons.get(candidate_id) or message.reason or message.outcome.value
            fates.failed.append(FailedCandidate(candidate_id=candidate_id, reason=reason))
    return fates


def _is_out_elsewhere(run: Run, candidate_id: str, attempt: Attempt) -> bool:
    return any(
        candidate_id in other.candidate_ids
        for other in run.outstanding
        if other.attempt_id != attempt.attempt_id
    )


def _add_fates(draft: Draft, attempt: Attempt, fates: _Fates) -> None:
    order = draft.order
    if fates.generated:
        chunk_id = derive_id(Prefix.chunk, attempt.attempt_id)
        draft.add(
            CandidatesGenerated(
                task_id=order.task_id,
                account_id=order.account_id,
                attempt_id=attempt.attempt_id,
                round_index=attempt.round_index,
                offering=attempt.offering,
                candidates=fates.generated,
            )
        )
        draft.add(
            ChunkSent(
                task_id=order.task_id,
                chunk_id=chunk_id,
                candidate_ids=[one.candidate_id for one in fates.generated],
            )
        )
        draft.add(
            ScoreCandidates(
                command_id=derive_id(Prefix.command, "score", chunk_id),
                chunk_id=chunk_id,
                task_id=order.task_id,
                account_id=order.account_id,
                round_index=attempt.round_index,
                profile=order.profile,
                candidates=fates.generated,
            )
        )
    if fates.failed:
        _add_failed(draft, fates.failed)


def _fail_candidates(draft: Draft, candidate_ids: Sequence[str], reason: str) -> None:
    _add_failed(draft, [FailedCandidate(candidate_id=one, reason=reason) for one in candidate_ids])


def _add_failed(draft: Draft, failed: list[FailedCandidate]) -> None:
    order = draft.order
    draft.add(
        CandidatesFailed(
            task_id=order.task_id,
            account_id=order.account_id,
            round_index=draft.run.round_index,
            candidates=failed,
        )
    )


