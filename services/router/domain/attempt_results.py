"""Result of an attempt, and the fate of its candidates: generated, tried again, or failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.router.domain.messages import AttemptReturned
from services.router.domain.run import (
    Attempt,
    CandidateState,
    Phase,
    Run,
)
from winnow.contracts.commands import BookCostVariance
from winnow.contracts.envelope import Message
from winnow.contracts.events import AttemptFinished, CandidatesFailed, CandidatesGenerated
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.values import FailedCandidate, GeneratedCandidate, OutcomeClass

RETRIED = frozenset(
    {
        OutcomeClass.never_delivered,
        OutcomeClass.rejected_without_work,
        OutcomeClass.collectable,
    }
)
"""Only these may be tried again: an unknown outcome is never paid twice (docs/design.md#outcomes-of-an-attempt)."""


@dataclass(slots=True)
class _CandidateResults:
    """Fate of an attempt's candidates."""

    generated: list[GeneratedCandidate] = field(default_factory=list)
    failed: list[FailedCandidate] = field(default_factory=list)
    retried: list[str] = field(default_factory=list)


def record_result(run: Run, returned: AttemptReturned) -> Sequence[Message]:
    """Record how an attempt that was out ended, and the fate of its candidates."""
    order, attempt = run.known_order, run.attempts[returned.attempt_id]
    results = _CandidateResults()
    if run.phase is Phase.running:
        results = _results_of(run, attempt, returned)
    actual = returned.actual_cost_usd_micro
    finished = AttemptFinished(
        task_id=order.task_id,
        account_id=order.account_id,
        attempt_id=attempt.attempt_id,
        round_index=attempt.round_index,
        offering=attempt.offering,
        provider=attempt.provider,
        outcome=returned.outcome,
        reason=returned.reason,
        provider_reference=returned.reference or attempt.reference,
        expected_cost_usd_micro=attempt.expected_cost_usd_micro,
        actual_cost_usd_micro=attempt.expected_cost_usd_micro if actual is None else actual,
        latency_ms=returned.latency_ms,
        will_retry=bool(results.retried),
    )
    messages: list[Message] = [finished, *correct_cost(run, attempt, finished)]
    if results.generated:
        messages.append(_add_candidates(run, attempt, results.generated))
    if results.failed:
        messages.append(fail_candidates(run, results.failed))
    return messages


def correct_cost(run: Run, attempt: Attempt, finished: AttemptFinished) -> Sequence[Message]:
    """Correct the cost of an attempt that was out when the task's bill was written.

    The bill took it for its expected cost.
    """
    if run.phase is Phase.running or finished.actual_cost_usd_micro == attempt.cost_usd_micro:
        return ()
    order = run.known_order
    correction = BookCostVariance(
        command_id=derive_id(Prefix.command, "variance", attempt.attempt_id),
        account_id=order.account_id,
        task_id=order.task_id,
        reservation_id=order.reservation_id,
        attempt_id=attempt.attempt_id,
        booked_usd_micro=attempt.cost_usd_micro,
        actual_usd_micro=finished.actual_cost_usd_micro,
    )
    return (correction,)


def _results_of(run: Run, attempt: Attempt, message: AttemptReturned) -> _CandidateResults:
    """Sort an attempt's candidates; the first result of a candidate counts, a second is dropped."""
    results = _CandidateResults()
    brought = {generated.candidate_id: generated for generated in message.generated}
    reasons = {failure.candidate_id: failure.reason for failure in message.failed}
    tries_max = run.policy.tries_max if run.policy is not None else 1
    for candidate_id in attempt.candidate_ids:
        candidate = run.candidates[candidate_id]
        if candidate.state not in {CandidateState.pending, CandidateState.in_flight}:
            continue
        if candidate_id in brought:
            results.generated.append(brought[candidate_id])
        elif candidate.attempt_id != attempt.attempt_id and candidate.state is CandidateState.pending:
            continue
        elif (
            candidate.attempt_id == attempt.attempt_id
            and message.outcome in RETRIED
            and len(candidate.tried) + 1 < tries_max
        ):
            results.retried.append(candidate_id)
        elif not _is_out_elsewhere(run, candidate_id, attempt):
            reason = reasons.get(candidate_id) or message.reason or message.outcome.value
            results.failed.append(FailedCandidate(candidate_id=candidate_id, reason=reason))
    return results


def _is_out_elsewhere(run: Run, candidate_id: str, attempt: Attempt) -> bool:
    return any(
        candidate_id in other.candidate_ids
        for other in run.outstanding
        if other.attempt_id != attempt.attempt_id
    )


def _add_candidates(run: Run, attempt: Attempt, generated: list[GeneratedCandidate]) -> CandidatesGenerated:
    return CandidatesGenerated(
        task_id=run.known_order.task_id,
        account_id=run.known_order.account_id,
        attempt_id=attempt.attempt_id,
        round_index=attempt.round_index,
        offering=attempt.offering,
        candidates=generated,
    )


def fail_candidates(run: Run, failed: list[FailedCandidate]) -> CandidatesFailed:
    """End candidates without a picture."""
    return CandidatesFailed(
        task_id=run.known_order.task_id,
        account_id=run.known_order.account_id,
        round_index=run.round_index,
        candidates=failed,
    )
