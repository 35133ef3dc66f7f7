"""The ends of a task run: selected, failed or cancelled, with what the ledger is asked to do."""

from __future__ import annotations

from collections.abc import Sequence

from services.router.domain.run import CandidateState, Run
from services.router.domain.selection import Passed, Selection
from winnow.contracts.commands import ReleaseCredits
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import TaskCancelled, TaskFailed, TaskSelected
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.values import RouteLine, SelectedCandidate, SetAsideCandidate


def end_selected(run: Run, selection: Selection, reason: str) -> TaskSelected:
    """End the run with its best candidates, for delivery to finish."""
    order = run.known_order
    return TaskSelected(
        task_id=order.task_id,
        account_id=order.account_id,
        k=order.k,
        profile=order.profile,
        selected=_ranked(run, selection.selected),
        set_aside=[
            SetAsideCandidate(
                candidate_id=candidate.candidate_id, reason=candidate.reason.value, like=candidate.like
            )
            for candidate in selection.set_aside
        ],
        reason=reason,
        reservation_id=order.reservation_id,
        price_per_output_credits_micro=order.price_per_output_credits_micro,
        reserved_credits_micro=run.reserved_credits_micro,
        cost=run.cost,
        routes=_routes(run),
        deadline_at=order.deadline_at,
        deadline_slack_s=order.deadline_slack_s,
    )


def end_failed(run: Run, code: ErrorCode, reason: str) -> tuple[TaskFailed, ReleaseCredits]:
    """End the task with nothing, and release the credits."""
    order = run.known_order
    end = TaskFailed(
        task_id=order.task_id,
        account_id=order.account_id,
        code=code,
        stage="router",
        reason=reason,
    )
    return end, _release(run, code.value)


def end_cancelled(run: Run) -> tuple[TaskCancelled, ReleaseCredits]:
    """End the task as its owner asked, and release the credits."""
    order = run.known_order
    end = TaskCancelled(
        task_id=order.task_id,
        account_id=order.account_id,
        stage="router",
        released_credits_micro=run.reserved_credits_micro,
    )
    return end, _release(run, "cancelled")


def _release(run: Run, reason: str) -> ReleaseCredits:
    """Ask the ledger to release the whole reservation."""
    order = run.known_order
    return ReleaseCredits(
        command_id=derive_id(Prefix.command, "release", order.reservation_id),
        account_id=order.account_id,
        reservation_id=order.reservation_id,
        task_id=order.task_id,
        cost=run.cost,
        reason=reason,
    )


def _ranked(run: Run, chosen: Sequence[Passed]) -> list[SelectedCandidate]:
    ranked: list[SelectedCandidate] = []
    for rank, candidate in enumerate(chosen, start=1):
        stored = run.candidates[candidate.candidate_id].stored
        if stored is None:
            raise ValueError("a candidate without bytes cannot have passed")
        ranked.append(
            SelectedCandidate(
                candidate_id=candidate.candidate_id, rank=rank, score=candidate.score, stored=stored
            )
        )
    return ranked


def _routes(run: Run) -> list[RouteLine]:
    """Return each offering's part in the run, by name: attempts, candidates, passes and cost."""
    lines: list[RouteLine] = []
    for offering in sorted({attempt.offering for attempt in run.attempts.values()}):
        attempts = [attempt for attempt in run.attempts.values() if attempt.offering == offering]
        made = [
            candidate
            for candidate in run.candidates.values()
            if candidate.offering == offering and candidate.stored is not None
        ]
        lines.append(
            RouteLine(
                offering=offering,
                provider=attempts[0].provider,
                attempts_count=len(attempts),
                candidates_count=len(made),
                passed_count=sum(1 for candidate in made if candidate.state is CandidateState.passed),
                expected_cost_usd_micro=sum(attempt.expected_cost_usd_micro for attempt in attempts),
                actual_cost_usd_micro=sum(attempt.cost_usd_micro for attempt in attempts),
            )
        )
    return lines
