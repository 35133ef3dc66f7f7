"""The end of a round: select, plan the next one, or stop; and the ends of the task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.router.domain.catalogue import PPM, RoundPolicy, SelectionPolicy
from services.router.domain.decision_builder import RunDecisionBuilder
from services.router.domain.market import MarketSnapshot
from services.router.domain.planning import (
    Estimate,
    affordable_count,
    blended_rate_ppm,
    plan_count,
    tail_ppm,
)
from services.router.domain.run import SETTLED, Attempt, CandidateState, Phase, Run
from services.router.domain.selection import Passed, Selection, choose_best
from winnow.contracts.commands import BookCostVariance, ReleaseCredits
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import RoundClosed, RoundPlanned, TaskFailed, TaskSelected
from winnow.contracts.ids import Prefix, derive_id, derive_seed
from winnow.contracts.values import (
    PlannedCandidate,
    RoundDecision,
    RouteLine,
    SelectedCandidate,
    SetAsideCandidate,
)


@dataclass(frozen=True, slots=True)
class _Plan:
    count: int
    rate_ppm: int
    reason: str


def plan_first(builder: RunDecisionBuilder, market: MarketSnapshot) -> None:
    """Plan round 0 of a funded run, or fail it when nothing can be bought."""
    order = builder.order
    if builder.run.policy is None:
        fail(builder, ErrorCode.unknown_template, "the template version is not in the catalogue")
        return
    if builder.now >= order.deadline_at:
        fail(builder, ErrorCode.deadline_exceeded, "the deadline passed before the first round")
        return
    estimate = _estimate(builder, market)
    if estimate is None:
        fail(builder, ErrorCode.no_offering, "no offering has this capability, size and a price")
        return
    plan = _plan(builder.run, builder.run.policy, estimate, order.k)
    if plan.count < 1:
        fail(builder, ErrorCode.cost_cap_reached, "the cost cap is below the price of one candidate")
        return
    _add_round(builder, 0, order.k, plan)


def conclude(builder: RunDecisionBuilder, market: MarketSnapshot | None) -> None:
    """Close the round if it can be closed, and do what follows: select, regenerate or stop.

    ``best_k`` waits until every candidate of the plan has its verdict; ``first_k`` stops at the
    K-th distinct pass. The deadline closes any round with what has passed by then.
    """
    run = builder.run
    policy = run.policy
    if run.phase is not Phase.running or not run.round_open or policy is None:
        return
    order = builder.order
    is_late = builder.now >= order.deadline_at
    is_complete = all(candidate.state in SETTLED for candidate in run.candidates.values())
    may_stop_early = policy.selection is SelectionPolicy.first_k and run.passed_count >= order.k
    if not (is_late or is_complete or may_stop_early):
        return
    selection = select(run, order.k, policy)
    if len(selection.selected) >= order.k:
        _close(builder, RoundDecision.select, f"{order.k} distinct candidates passed")
        _select(builder, selection, "enough candidates passed")
        return
    if not (is_late or is_complete):
        return
    code = _next_round(builder, policy, market, order.k - len(selection.selected), is_late=is_late)
    if code is None:
        return
    _close(builder, RoundDecision.stop, code.value)
    if selection.selected:
        _select(builder, selection, code.value)
    else:
        fail(builder, code, "no candidate passed")


def select(run: Run, k: int, policy: RoundPolicy) -> Selection:
    """Choose among what has passed so far."""
    passed = [
        Passed(
            candidate.candidate_id,
            candidate.score,
            candidate.perceptual_hash,
            (candidate.round_index, candidate.index),
        )
        for candidate in run.candidates.values()
        if candidate.state is CandidateState.passed
    ]
    return choose_best(passed, k, duplicate_distance=policy.duplicate_distance)


def _next_round(
    builder: RunDecisionBuilder,
    policy: RoundPolicy,
    market: MarketSnapshot | None,
    wanted: int,
    *,
    is_late: bool,
) -> ErrorCode | None:
    """Close this round and plan another; or return the reason why there is none."""
    run = builder.run
    if is_late:
        return ErrorCode.deadline_exceeded
    if run.round_index + 1 >= policy.rounds_max or len(run.candidates) >= policy.candidates_max:
        return ErrorCode.rounds_exhausted
    estimate = _estimate(builder, market)
    if estimate is None:
        return ErrorCode.no_offering
    plan = _plan(run, policy, estimate, wanted)
    if plan.count < 1:
        return ErrorCode.cost_cap_reached
    _close(builder, RoundDecision.regenerate, f"{wanted} more are wanted")
    _add_round(builder, run.round_index + 1, wanted, plan)
    return None


def _estimate(builder: RunDecisionBuilder, market: MarketSnapshot | None) -> Estimate | None:
    order = builder.order
    if market is None:
        return None
    return market.estimate(
        order.template.name,
        order.template.version,
        order.mode,
        width=order.width,
        height=order.height,
    )


def _plan(run: Run, policy: RoundPolicy, estimate: Estimate, wanted: int) -> _Plan:
    rate_ppm = blended_rate_ppm(
        estimate.pass_rate_ppm,
        policy.pass_rate_prior_weight,
        passed=run.passed_count,
        scored=run.scored_count,
    )
    cap = run.order.cost_cap_usd_micro if run.order is not None else 0
    affordable = affordable_count(
        estimate.price_usd_micro, committed_usd_micro=run.committed_usd_micro, cap_usd_micro=cap
    )
    free = policy.candidates_max - len(run.candidates)
    wished = plan_count(wanted, rate_ppm, confidence_ppm=policy.confidence_ppm, count_max=free)
    count = min(wished, affordable)
    chance = tail_ppm(count, wanted, rate_ppm)
    bound = " (bounded by the cost cap)" if affordable < wished else ""
    reason = (
        f"{count} candidates give {wanted} passes with probability {chance / PPM:.3f} "
        f"at pass rate {rate_ppm / PPM:.3f}{bound}"
    )
    return _Plan(count, rate_ppm, reason)


def _add_round(builder: RunDecisionBuilder, round_index: int, wanted: int, plan: _Plan) -> None:
    order = builder.order
    builder.add(
        RoundPlanned(
            task_id=order.task_id,
            account_id=order.account_id,
            round_index=round_index,
            candidates=[
                PlannedCandidate(
                    candidate_id=derive_id(Prefix.candidate, order.task_id, round_index, index),
                    index=index,
                    seed=derive_seed(order.task_id, round_index, index),
                )
                for index in range(plan.count)
            ],
            wanted_count=wanted,
            assumed_pass_rate_ppm=plan.rate_ppm,
            reason=plan.reason,
        )
    )


def _close(builder: RunDecisionBuilder, decision: RoundDecision, reason: str) -> None:
    run = builder.run
    order = builder.order
    here = [candidate for candidate in run.candidates.values() if candidate.round_index == run.round_index]
    passed = sum(1 for candidate in here if candidate.state is CandidateState.passed)
    failed = sum(1 for candidate in here if candidate.state is CandidateState.failed)
    builder.add(
        RoundClosed(
            task_id=order.task_id,
            account_id=order.account_id,
            round_index=run.round_index,
            generated_count=sum(1 for candidate in here if candidate.stored is not None),
            passed_count=passed,
            failed_count=failed,
            passed_total_count=run.passed_count,
            decision=decision,
            reason=reason,
        )
    )


def _select(builder: RunDecisionBuilder, selection: Selection, reason: str) -> None:
    run = builder.run
    order = builder.order
    builder.add(
        TaskSelected(
            task_id=order.task_id,
            account_id=order.account_id,
            k=order.k,
            profile=order.profile,
            selected=_selected(run, selection.selected),
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
            routes=routes(run),
            deadline_at=order.deadline_at,
            deadline_slack_s=order.deadline_slack_s,
        )
    )


def _selected(run: Run, chosen: Sequence[Passed]) -> list[SelectedCandidate]:
    selected: list[SelectedCandidate] = []
    for rank, candidate in enumerate(chosen, start=1):
        stored = run.candidates[candidate.candidate_id].stored
        if stored is None:
            msg = "a candidate without bytes cannot have passed"
            raise ValueError(msg)
        selected.append(
            SelectedCandidate(
                candidate_id=candidate.candidate_id, rank=rank, score=candidate.score, stored=stored
            )
        )
    return selected


def routes(run: Run) -> list[RouteLine]:
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


def fail(builder: RunDecisionBuilder, code: ErrorCode, reason: str) -> None:
    """End the task with nothing, and release the credits."""
    order = builder.order
    builder.add(
        TaskFailed(
            task_id=order.task_id,
            account_id=order.account_id,
            code=code,
            stage="router",
            reason=reason,
        )
    )
    release(builder, code.value)


def release(builder: RunDecisionBuilder, reason: str) -> None:
    """Ask the ledger to release the whole reservation."""
    order = builder.order
    builder.add(
        ReleaseCredits(
            command_id=derive_id(Prefix.command, "release", order.reservation_id),
            account_id=order.account_id,
            reservation_id=order.reservation_id,
            task_id=order.task_id,
            cost=builder.run.cost,
            reason=reason,
        )
    )


def correct_cost(builder: RunDecisionBuilder, before: Attempt) -> None:
    """Correct the cost of an attempt that was out when the task's bill was written.

    The bill took it for its expected cost. ``before`` is the attempt as the bill knew it.
    """
    run, order = builder.run, builder.order
    after = run.attempts[before.attempt_id]
    if run.phase is Phase.running or after.cost_usd_micro == before.cost_usd_micro:
        return
    builder.add(
        BookCostVariance(
            command_id=derive_id(Prefix.command, "variance", before.attempt_id),
            account_id=order.account_id,
            task_id=order.task_id,
            reservation_id=order.reservation_id,
            attempt_id=before.attempt_id,
            booked_usd_micro=before.cost_usd_micro,
            actual_usd_micro=after.cost_usd_micro,
        )
    )
