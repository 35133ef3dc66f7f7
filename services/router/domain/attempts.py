"""Attempts of a run while they are out: submitted, accepted by the provider, slow."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.router.domain.attempt_results import fail_candidates
from services.router.domain.messages import (
    AttemptAccepted,
    AttemptOverdue,
    AttemptSlow,
    AttemptTaken,
    Batch,
)
from services.router.domain.planning import affordable_count
from services.router.domain.run import (
    Candidate,
    CandidateState,
    Phase,
    Run,
)
from winnow.contracts.envelope import Message
from winnow.contracts.events import AttemptSubmitted
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.values import FailedCandidate


def submit(run: Run, batch: Batch, now: datetime) -> Sequence[Message]:
    """Submit the waiting candidates of a batch, as many as the cost cap allows."""
    if run.phase is not Phase.running or now >= run.known_order.deadline_at:
        return ()
    waiting = [
        run.candidates[candidate_id]
        for candidate_id in batch.candidate_ids
        if candidate_id in run.candidates and run.candidates[candidate_id].state is CandidateState.pending
    ]
    affordable = affordable_count(
        batch.price_usd_micro,
        committed_usd_micro=run.committed_usd_micro,
        cap_usd_micro=run.known_order.cost_cap_usd_micro,
    )
    chosen = waiting[:affordable]
    if chosen:
        return (_attempt(run, batch, chosen),)
    if waiting and not run.outstanding:
        # What is out may come back cheaper than expected; with nothing out, nothing will change.
        failed = [
            FailedCandidate(candidate_id=candidate.candidate_id, reason="cost_cap_reached")
            for candidate in waiting
        ]
        return (fail_candidates(run, failed),)
    return ()


def _attempt(run: Run, batch: Batch, chosen: Sequence[Candidate]) -> AttemptSubmitted:
    order = run.known_order
    return AttemptSubmitted(
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


def note_reference(run: Run, accepted: AttemptAccepted) -> Sequence[Message]:
    """Note the provider's reference of an attempt, once."""
    attempt = run.attempts.get(accepted.attempt_id)
    if attempt is None or attempt.outcome is not None or attempt.reference is not None:
        return ()
    taken = AttemptTaken(
        attempt_id=accepted.attempt_id,
        provider_reference=accepted.reference,
        handle=dict(accepted.handle),
    )
    return (taken,)


def free_candidates(run: Run, slow: AttemptSlow) -> Sequence[Message]:
    """Free the candidates of a slow attempt for another offering; its late result is still used."""
    attempt = run.attempts.get(slow.attempt_id)
    if run.phase is not Phase.running or attempt is None or run.policy is None:
        return ()
    if attempt.outcome is not None or attempt.is_overdue:
        return ()
    freed = [
        candidate_id
        for candidate_id in attempt.candidate_ids
        if run.candidates[candidate_id].attempt_id == attempt.attempt_id
        and run.candidates[candidate_id].state is CandidateState.in_flight
        and len(run.candidates[candidate_id].tried) + 1 < run.policy.tries_max
    ]
    return (AttemptOverdue(attempt_id=attempt.attempt_id, candidate_ids=freed),) if freed else ()
