"""Template, catalogue and profile that simulated orders name."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from services.delivery.domain.endpoints import Endpoint
from services.router.domain.catalogue import (
    CallLimits,
    Catalogue,
    ModePolicy,
    Offering,
    Price,
    RoundPolicy,
    SelectionPolicy,
    Template,
    Traits,
)
from services.scorer.domain import Profile
from services.scorer.domain.quality_profile import DimensionRule, Ranking, ScoreMapping
from tests.simulation.outside import PRICE_USD_MICRO
from winnow.contracts.values import Mode

TEMPLATE, PROFILE = "portrait", "portrait"


def offering(name: str, price: int, *, is_async: bool) -> Offering:
    return Offering(
        name=name,
        provider=name,
        model=name,
        capabilities=("image.portrait",),
        prices=(Price(price, date(2026, 1, 1)),),
        max_n=4,
        concurrency_limit=8,
        latency_prior_ms=500,
        pass_prior_ppm={TEMPLATE: 600_000},
        traits=Traits(cancel=is_async),
        limits=CallLimits(total_timeout_s=6, poll_interval_s=0.1, slow_least_s=2),
    )


_RECIPE = Template(
    TEMPLATE,
    1,
    RoundPolicy(
        capability="image.portrait", selection=SelectionPolicy.first_k, rounds_max=2, candidates_max=8
    ),
    {mode: ModePolicy(pinned=mode is Mode.stable) for mode in Mode},
)
CATALOGUE = Catalogue(
    {
        "polled": offering("polled", PRICE_USD_MICRO, is_async=True),
        "direct": offering("direct", PRICE_USD_MICRO + 1000, is_async=False),
    },
    {(TEMPLATE, 1): _RECIPE},
)
JUDGED_PROFILE = Profile(
    name=PROFILE,
    version=1,
    ranking=Ranking.mean,
    dimensions=(
        DimensionRule("sharpness", 1, True, 50.0, 1.0, ScoreMapping(x0=50.0, w=10.0)),
        DimensionRule("near_duplicate", 1, False, 0.0, 0.0, ScoreMapping()),
    ),
    rules=(),
    sha256="5" * 64,
)


def endpoint_row(account_id: str, endpoint_id: str) -> dict[str, Any]:
    """Return the row of a webhook endpoint that hears of every end."""
    endpoint = Endpoint(
        endpoint_id,
        account_id,
        f"https://receiver/{account_id}",
        (),
        enabled=True,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return {
        "_id": endpoint.endpoint_id,
        "account_id": account_id,
        "slot": 0,
        "url": endpoint.url,
        "event_types": [],
        "enabled": True,
        "created_at": endpoint.created_at,
        "failing_since": None,
    }
