"""The rounds of a run: plan the first, and close each by a selection, another round or a stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.router.domain.catalogue import PPM, RoundPolicy, SelectionPolicy
from services.router.domain.market import MarketSnapshot
from services.router.domain.planning import (
    Estimate,
    affordable_count,
    blended_rate_ppm,
    plan_count,
    tail_ppm,
)
from services.router.domain.run import (
    SETTLED,
    CandidateState,
    Phase,
    Run,
)
from services.router.domain.run_end import end_failed, end_selected
from services.router.domain.selection import Passed, Selection, choose_best
from winnow.contracts.envelope import Message
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import RoundClosed, RoundPlanned
from winnow.contracts.ids import Prefix, derive_id, derive_seed
from winnow.contracts.values import PlannedCandidate, RoundDecision


@dataclass(frozen=True, slots=True)
class _Plan:
    count: int
    rate_ppm: int
    reason: str


def plan_first(run: Run, market: MarketSnapshot, now: datetime) -> Sequence[Message]:
    """Plan round 0 of a funded run, or fail it when nothing can be bought."""
    order = run.known_order
    if run.policy is None:
        return end_failed(run, ErrorCode.unknown_template, "the template version is not in the catalogue")
    if now >= order.deadline_at:
        return end_failed(run, ErrorCode.deadline_exceeded, "the deadline passed before the first round")
    estimate = _estimate(run, market)
    if estimate is None:
        return end_failed(run, ErrorCode.no_offering, "no offering has this capability, size and a price")
    plan = _plan(run, run.policy, estimate, order.k)
    if plan.count < 1:
        return end_failed(run, ErrorCode.cost_cap_reached, "the cost cap is below the price of one candidate")
    return (_open(run, 0, order.k, plan),)


def conclude(run: Run, market: MarketSnapshot | None, now: datetime) -> Sequence[Message]:
    """Close the round if it can be closed, and do what follows: select, regenerate or stop.

    ``best_k`` waits until every candidate of the plan has its verdict; ``first_k`` stops at the
    K-th distinct pass. The deadline closes any round with what has passed by then.
    """
    policy = run.policy
    if run.phase is not Phase.running or not run.round_open or policy is None:
        return ()
    order = run.known_order
    is_late = now >= order.deadline_at
    is_complete = all(candidate.state in SETTLED for candidate in run.candidates.values())
    may_stop_early = policy.selection is SelectionPolicy.first_k and run.passed_count >= order.k
    if not (is_late or is_complete or may_stop_early):
        return ()
    selection = select(run, order.k, policy)
    missing = order.k - len(selection.selected)
    if missing <= 0:
        closed = _close(run, RoundDecision.select, f"{order.k} distinct candidates passed")
        return closed, end_selected(run, selection, "enough candidates passed")
    if not (is_late or is_complete):
        return ()
    plan = ErrorCode.deadline_exceeded if is_late else _next_plan(run, policy, market, missing)
    if isinstance(plan, _Plan):
        closed = _close(run, RoundDecision.regenerate, f"{missing} more are wanted")
        return closed, _open(run, run.round_index + 1, missing, plan)
    return _stop(run, selection, plan)


def _stop(run: Run, selection: Selection, code: ErrorCode) -> Sequence[Message]:
    """End the task with fewer than it asked for."""
    closed = _close(run, RoundDecision.stop, code.value)
    if selection.selected:
        return closed, end_selected(run, selection, code.value)
    return closed, *end_failed(run, code, "no candidate passed")


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


def _next_plan(
    run: Run, policy: RoundPolicy, market: MarketSnapshot | None, wanted: int
) -> _Plan | ErrorCode:
    """Return the plan of another round, or the reason why there is none."""
    if run.round_index + 1 >= policy.rounds_max or len(run.candidates) >= policy.candidates_max:
        return ErrorCode.rounds_exhausted
    estimate = _estimate(run, market)
    if estimate is None:
        return ErrorCode.no_offering
    plan = _plan(run, policy, estimate, wanted)
    return plan if plan.count >= 1 else ErrorCode.cost_cap_reached


def _estimate(run: Run, market: MarketSnapshot | None) -> Estimate | None:
    order = run.known_order
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


def _open(run: Run, round_index: int, wanted: int, plan: _Plan) -> RoundPlanned:
    order = run.known_order
    return RoundPlanned(
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


def _close(run: Run, decision: RoundDecision, reason: str) -> RoundClosed:
    order = run.known_order
    here = [candidate for candidate in run.candidates.values() if candidate.round_index == run.round_index]
    return RoundClosed(
        task_id=order.task_id,
        account_id=order.account_id,
        round_index=run.round_index,
        generated_count=sum(1 for candidate in here if candidate.stored is not None),
        passed_count=sum(1 for candidate in here if candidate.state is CandidateState.passed),
        failed_count=sum(1 for candidate in here if candidate.state is CandidateState.failed),
        passed_total_count=run.passed_count,
        decision=decision,
        reason=reason,
    )
