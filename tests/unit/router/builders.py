"""Builds what router tests start from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from services.router.domain.backlog import Terms
from services.router.domain.catalogue import (
    CallLimits,
    Catalogue,
    ModePolicy,
    Offering,
    Price,
    RoundPolicy,
    Template,
    Traits,
)
from services.router.domain.market import MarketSnapshot
from services.router.domain.messages import Observed
from services.router.domain.run import Candidate, Phase, Run
from winnow.contracts.events import CandidatesScored, TaskAccepted, TaskCancelRequested, TaskFunded
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.values import (
    Dimension,
    GeneratedCandidate,
    MeasureStatus,
    Mode,
    ProfileRef,
    ScoredCandidate,
    StoredObject,
    TemplateRef,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ACCOUNT = "acct_one"
PROFILE = ProfileRef(name="headshot", version=1)
SHA = "a" * 64


def stored(key: str = "requests/r.json") -> StoredObject:
    return StoredObject(bucket="b", key=key, sha256=SHA, size_bytes=10, content_type="image/jpeg")


def offering(name: str, **changes: Any) -> Offering:
    fields: dict[str, Any] = {
        "name": name,
        "provider": name,
        "model": f"{name}/model",
        "capabilities": ("image.headshot",),
        "prices": (Price(3000, date(2026, 1, 1)),),
        "max_n": 4,
        "concurrency_limit": 4,
        "pass_prior_ppm": {"t": 600_000},
        "traits": Traits(cancel=True),
        "limits": CallLimits(total_timeout_s=5, poll_interval_s=0.02),
    }
    return Offering(**(fields | changes))


def template(modes: dict[Mode, ModePolicy] | None = None, **policy: Any) -> Template:
    rounds = RoundPolicy(**({"capability": "image.headshot"} | policy))
    every = {mode: ModePolicy() for mode in Mode}
    return Template("t", 1, rounds, modes or every)


def market(*offerings: Offering, **policy: Any) -> MarketSnapshot:
    found = offerings or (offering("cheap"), offering("dear", prices=(Price(8000, date(2026, 1, 1)),)))
    recipe = template(**policy)
    catalogue = Catalogue({o.name: o for o in found}, {(recipe.name, recipe.version): recipe})
    return MarketSnapshot(catalogue, {}, NOW.date())


def accepted(number: int = 1, **changes: Any) -> TaskAccepted:
    task_id = derive_id(Prefix.task, number)
    fields: dict[str, Any] = {
        "task_id": task_id,
        "account_id": ACCOUNT,
        "template": TemplateRef(name="t", version=1),
        "mode": Mode.low_cost,
        "profile": PROFILE,
        "k": 2,
        "request": stored(),
        "request_sha256": SHA,
        "width": 512,
        "height": 512,
        "reservation_id": derive_id(Prefix.reservation, number),
        "price_per_output_credits_micro": 1_000_000,
        "reserve_credits_micro": 2_000_000,
        "price_rule": "test",
        "cost_cap_usd_micro": 1_000_000,
        "deadline_at": NOW + timedelta(minutes=10),
    }
    return TaskAccepted(**(fields | changes))


def policy_of(on: MarketSnapshot) -> RoundPolicy:
    return next(iter(on.catalogue.templates.values())).rounds


def opened(order: TaskAccepted, on: MarketSnapshot) -> Observed:
    return Observed(order, on, policy_of(on))


def funded(order: TaskAccepted, on: MarketSnapshot) -> Observed:
    event = TaskFunded(
        task_id=order.task_id,
        account_id=order.account_id,
        reservation_id=order.reservation_id,
        reserved_credits_micro=order.reserve_credits_micro,
    )
    return Observed(event, on)


def cancel_requested(order: TaskAccepted, on: MarketSnapshot) -> Observed:
    return Observed(TaskCancelRequested(task_id=order.task_id, account_id=order.account_id), on)


def generated(candidate_id: str) -> GeneratedCandidate:
    return GeneratedCandidate(candidate_id=candidate_id, stored=stored(f"c/{candidate_id}"), seed=1)


def scored_candidate(
    candidate_id: str, *, passed: bool, score: float = 80.0, perceptual_hash: str | None = None
) -> ScoredCandidate:
    return ScoredCandidate(
        candidate_id=candidate_id,
        passed=passed,
        score=score,
        dimensions=[
            Dimension(
                name="sharpness",
                tier=1,
                status=MeasureStatus.ok,
                score=score,
                required=True,
                passed=passed,
            )
        ],
        perceptual_hash=perceptual_hash,
    )


def scored(
    order: TaskAccepted, on: MarketSnapshot, chunk_id: str, candidates: list[ScoredCandidate]
) -> Observed:
    event = CandidatesScored(
        task_id=order.task_id,
        account_id=order.account_id,
        chunk_id=chunk_id,
        round_index=0,
        profile=PROFILE,
        profile_sha256=SHA,
        scorer_version="test",
        models={},
        candidates=candidates,
    )
    return Observed(event, on)


def scores_of(chunk: Mapping[str, Any], candidates: list[ScoredCandidate]) -> CandidatesScored:
    """Return the scorer's answer to a published command to score a chunk."""
    return CandidatesScored(
        task_id=chunk["task_id"],
        account_id=chunk["account_id"],
        chunk_id=chunk["chunk_id"],
        round_index=chunk["round_index"],
        profile=chunk["profile"],
        profile_sha256=SHA,
        scorer_version="test",
        models={},
        candidates=candidates,
    )


TERMS = Terms(size=2, price_usd_micro=10_000)


def run(
    number: int,
    account: str = "acct_a",
    *,
    priority: int = 5,
    waiting: int = 1,
    waited_s: float = 0.0,
    tried: tuple[str, ...] = (),
) -> Run:
    order = accepted(number, account_id=account, priority=priority)
    candidates = {
        f"c{number}-{index}": Candidate(f"c{number}-{index}", 0, index, 1, tried=tried)
        for index in range(waiting)
    }
    funded_at = NOW - timedelta(seconds=waited_s)
    return Run(order.task_id, Phase.running, order, candidates=candidates, funded_at=funded_at)
