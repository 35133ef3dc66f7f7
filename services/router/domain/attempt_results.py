"""Result of an attempt, and the fate of its candidates: generated, tried again, or failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.router.domain.chunks import send_chunks
from services.router.domain.decision_builder import RunDecisionBuilder
from services.router.domain.rounds import conclude, correct_cost
from services.router.domain.run import Attempt, AttemptReturned, CandidateState, Phase, Run
from winnow.contracts.events import AttemptFinished, CandidatesFailed, CandidatesGenerated
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


def record_result(builder: RunDecisionBuilder, message: AttemptReturned) -> None:
    """Record how an attempt ended, and what becomes of its candidates."""
    run = builder.run
    attempt = run.attempts.get(message.attempt_id)
    if attempt is None or attempt.outcome is not None:
        return
    results = _CandidateResults()
    if run.phase is Phase.running:
        results = _results_of(run, attempt, message)
    actual = message.actual_cost_usd_micro
    order = builder.order
    builder.add(
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
            will_retry=bool(results.retried),
        )
    )
    correct_cost(builder, attempt)
    _add_results(builder, attempt, results)
    send_chunks(builder)
    conclude(builder, message.market)


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


def _add_results(builder: RunDecisionBuilder, attempt: Attempt, results: _CandidateResults) -> None:
    order = builder.order
    if results.generated:
        builder.add(
            CandidatesGenerated(
                task_id=order.task_id,
                account_id=order.account_id,
                attempt_id=attempt.attempt_id,
                round_index=attempt.round_index,
                offering=attempt.offering,
                candidates=results.generated,
            )
        )
    if results.failed:
        _add_failed(builder, results.failed)


def fail_candidates(builder: RunDecisionBuilder, candidate_ids: Sequence[str], reason: str) -> None:
    """Fail candidates."""
    _add_failed(
        builder, [FailedCandidate(candidate_id=candidate_id, reason=reason) for candidate_id in candidate_ids]
    )


def _add_failed(builder: RunDecisionBuilder, failed: list[FailedCandidate]) -> None:
    order = builder.order
    builder.add(
        CandidatesFailed(
            task_id=order.task_id,
            account_id=order.account_id,
            round_index=builder.run.round_index,
            candidates=failed,
        )
    )
