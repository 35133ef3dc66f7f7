"""The fold: a run's state after one of its events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from services.router.domain.messages import (
    AttemptOverdue,
    AttemptTaken,
    ChunkSent,
    EarlyCancelNoted,
    RunDismissed,
    RunFunded,
    RunOpened,
    ScoresNoted,
)
from services.router.domain.run import (
    Attempt,
    Candidate,
    CandidateState,
    Phase,
    Run,
)
from winnow.contracts.envelope import Event
from winnow.contracts.events import (
    AttemptFinished,
    AttemptSubmitted,
    CandidatesFailed,
    CandidatesGenerated,
    RoundClosed,
    RoundPlanned,
    TaskCancelled,
    TaskFailed,
    TaskSelected,
)


def evolve(run: Run, event: Event, at: datetime) -> Run:  # noqa: PLR0911 (one row per event)
    """Return the state after ``event``; an event it does not know leaves it as it is."""
    match event:
        case RunOpened():
            return replace(
                run,
                phase=Phase.running if run.funded_at is not None else Phase.accepted,
                order=event.accepted,
                policy=event.policy,
                correlation_id=event.correlation_id,
                traceparent=event.traceparent,
            )
        case RunFunded():
            return replace(
                run,
                phase=Phase.running if run.order is not None else run.phase,
                reserved_credits_micro=event.reserved_credits_micro,
                funded_at=at,
            )
        case EarlyCancelNoted():
            return replace(run, cancel_seen=True)
        case RunDismissed():
            return replace(run, phase=Phase.dismissed)
        case RoundPlanned():
            return _planned(run, event)
        case RoundClosed():
            return replace(run, round_open=False)
        case TaskSelected():
            return replace(run, phase=Phase.selected)
        case TaskFailed():
            return replace(run, phase=Phase.failed)
        case TaskCancelled():
            return replace(run, phase=Phase.cancelled)
        case _:
            return _evolve_work(run, event, at)


def _evolve_work(run: Run, event: Event, at: datetime) -> Run:  # noqa: PLR0911 (one row per event)
    match event:
        case AttemptSubmitted():
            return _submitted(run, event, at)
        case AttemptTaken():
            taken = replace(
                run.attempts[event.attempt_id],
                reference=event.provider_reference,
                handle=dict(event.handle),
            )
            return replace(run, attempts=_with(run.attempts, taken))
        case AttemptOverdue():
            return _overdue(run, event)
        case AttemptFinished():
            return _finished(run, event)
        case CandidatesGenerated():
            return _generated(run, event)
        case CandidatesFailed():
            failed = [
                replace(run.candidates[candidate.candidate_id], state=CandidateState.failed)
                for candidate in event.candidates
            ]
            return replace(run, candidates=_changed(run.candidates, failed))
        case ChunkSent():
            chunks = {**run.chunks, event.chunk_id: tuple(event.candidate_ids)}
            return replace(run, chunks=chunks)
        case ScoresNoted():
            return _scored(run, event)
        case _:
            return run


def _with(attempts: Mapping[str, Attempt], attempt: Attempt) -> dict[str, Attempt]:
    return {**attempts, attempt.attempt_id: attempt}


def _changed(candidates: Mapping[str, Candidate], changed: Iterable[Candidate]) -> dict[str, Candidate]:
    return {**candidates, **{candidate.candidate_id: candidate for candidate in changed}}


def _planned(run: Run, event: RoundPlanned) -> Run:
    planned = [
        Candidate(candidate.candidate_id, event.round_index, candidate.index, candidate.seed)
        for candidate in event.candidates
    ]
    return replace(
        run,
        round_index=event.round_index,
        round_open=True,
        candidates=_changed(run.candidates, planned),
    )


def _submitted(run: Run, event: AttemptSubmitted, at: datetime) -> Run:
    attempt = Attempt(
        attempt_id=event.attempt_id,
        round_index=event.round_index,
        candidate_ids=tuple(event.candidate_ids),
        offering=event.offering,
        provider=event.provider,
        try_number=event.try_number,
        expected_cost_usd_micro=event.expected_cost_usd_micro,
        submitted_at=at,
    )
    started = [
        replace(
            run.candidates[candidate_id],
            state=CandidateState.in_flight,
            attempt_id=event.attempt_id,
            offering=event.offering,
        )
        for candidate_id in event.candidate_ids
    ]
    return replace(
        run,
        attempts=_with(run.attempts, attempt),
        candidates=_changed(run.candidates, started),
    )


def _back_to_pending(run: Run, attempt: Attempt, candidate_ids: Iterable[str]) -> list[Candidate]:
    """Free the candidates that wait for this attempt and no newer one."""
    waiting = (run.candidates[candidate_id] for candidate_id in candidate_ids)
    return [
        replace(
            candidate,
            state=CandidateState.pending,
            attempt_id=None,
            offering=None,
            tried=(*candidate.tried, attempt.offering),
        )
        for candidate in waiting
        if candidate.state is CandidateState.in_flight and candidate.attempt_id == attempt.attempt_id
    ]


def _overdue(run: Run, event: AttemptOverdue) -> Run:
    attempt = replace(run.attempts[event.attempt_id], is_overdue=True)
    freed = _back_to_pending(run, attempt, event.candidate_ids)
    return replace(
        run,
        attempts=_with(run.attempts, attempt),
        candidates=_changed(run.candidates, freed),
    )


def _finished(run: Run, event: AttemptFinished) -> Run:
    attempt = replace(
        run.attempts[event.attempt_id],
        outcome=event.outcome,
        actual_cost_usd_micro=event.actual_cost_usd_micro,
        reference=event.provider_reference or run.attempts[event.attempt_id].reference,
        handle={},
    )
    freed: list[Candidate] = []
    if event.will_retry:
        freed = _back_to_pending(run, attempt, attempt.candidate_ids)
    return replace(
        run,
        attempts=_with(run.attempts, attempt),
        candidates=_changed(run.candidates, freed),
    )


def _generated(run: Run, event: CandidatesGenerated) -> Run:
    generated = [
        replace(
            run.candidates[candidate.candidate_id],
            state=CandidateState.generated,
            attempt_id=event.attempt_id,
            offering=event.offering,
            seed=candidate.seed,
            stored=candidate.stored,
        )
        for candidate in event.candidates
    ]
    return replace(run, candidates=_changed(run.candidates, generated))


def _scored(run: Run, event: ScoresNoted) -> Run:
    verdicts = {scored_candidate.candidate_id: scored_candidate for scored_candidate in event.candidates}
    scored: list[Candidate] = []
    for candidate_id in run.chunks[event.chunk_id]:
        candidate = run.candidates[candidate_id]
        verdict = verdicts.get(candidate_id)
        passed = verdict is not None and verdict.passed
        scored.append(
            replace(
                candidate,
                state=CandidateState.passed if passed else CandidateState.rejected,
                score=verdict.score if verdict is not None else 0.0,
                perceptual_hash=verdict.perceptual_hash if verdict is not None else None,
            )
        )
    return replace(
        run,
        candidates=_changed(run.candidates, scored),
        chunks={key: ids for key, ids in run.chunks.items() if key != event.chunk_id},
        scored_count=run.scored_count + len(scored),
        passed_count=run.passed_count + sum(1 for judged in scored if judged.state is CandidateState.passed),
    )
