"""Metrics of the router: counters move as attempts end, gauges are sampled each second."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import date
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from services.router.app.router import Router
from services.router.domain.catalogue import Offering
from winnow.contracts.events import AttemptFinished
from winnow.runtime.log import get_logger

_log = get_logger(__name__)
_SAMPLE_EVERY_S: Final = 1.0

ATTEMPTS: Final = Counter("winnow_router_attempts_total", "Attempts that ended.", ["offering", "outcome"])
ATTEMPT_SECONDS: Final = Histogram(
    "winnow_router_attempt_seconds",
    "Time from submit to stored candidates.",
    ["offering"],
    buckets=(0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300),
)
SPENT: Final = Counter(
    "winnow_router_spent_usd", "Provider cost of attempts, as billed or assumed.", ["offering"]
)
COST_DRIFT: Final = Counter(
    "winnow_router_cost_drift_usd", "Actual cost above the expected one.", ["offering"]
)
CRASHES: Final = Counter("winnow_router_attempt_crashes_total", "Attempts that hit a fault of ours.")
WAITING: Final = Gauge("winnow_router_waiting_calls", "Calls that wait for a turn.")
IN_FLIGHT: Final = Gauge("winnow_router_attempts_in_flight", "Attempts that are out.", ["offering"])
BREAKER: Final = Gauge("winnow_router_breaker_open", "0 closed, 0.5 half open, 1 open.", ["offering"])
PASS_RATE: Final = Gauge("winnow_router_pass_rate_ratio", "Learnt pass rate.", ["offering"])
RETIRED: Final = Gauge(
    "winnow_router_offering_retired",
    "1 for an offering past its end (retired_on), which gets no attempts.",
    ["offering"],
)
_BREAKER_VALUES: Final = {"closed": 0.0, "half_open": 0.5, "open": 1.0}
_USD_MICRO: Final = 1_000_000


class PrometheusMeter:
    """Counts attempts."""

    def attempt_finished(self, event: AttemptFinished) -> None:
        """Count an attempt, its time and its cost."""
        ATTEMPTS.labels(event.offering, event.outcome.value).inc()
        ATTEMPT_SECONDS.labels(event.offering).observe(event.latency_ms / 1000)
        SPENT.labels(event.offering).inc(event.actual_cost_usd_micro / _USD_MICRO)
        above = event.actual_cost_usd_micro - event.expected_cost_usd_micro
        if above > 0:
            COST_DRIFT.labels(event.offering).inc(above / _USD_MICRO)
        _log.info(
            "router.attempt.finished",
            task_id=event.task_id,
            attempt_id=event.attempt_id,
            offering=event.offering,
            outcome=event.outcome.value,
            reason=event.reason,
            latency_ms=event.latency_ms,
        )

    def attempt_crashed(self, attempt_id: str, error: Exception) -> None:
        """Report a fault of this program."""
        CRASHES.inc()
        _log.error(
            "router.attempt.crashed",
            attempt_id=attempt_id,
            error=type(error).__name__,
            exc_info=error,
        )


def warn_of_retired(offerings: Iterable[Offering], today: date) -> None:
    """Log a warning for each offering whose ``retired_on`` has come; it has no price, so nothing is bought of it."""
    for offering in offerings:
        is_retired = offering.is_retired_on(today)
        RETIRED.labels(offering.name).set(is_retired)
        if is_retired:
            _log.warning(
                "router.offering.retired",
                offering=offering.name,
                retired_on=str(offering.retired_on),
                replaced_by=offering.replaced_by,
            )


async def sample(router: Router) -> None:
    """Keep the gauges until cancelled."""
    while True:
        WAITING.set(router.dispatcher.waiting_count())
        for view in router.queries.offerings():
            name = view.offering.name
            IN_FLIGHT.labels(name).set(view.health.in_flight)
            BREAKER.labels(name).set(_BREAKER_VALUES[view.breaker])
            PASS_RATE.labels(name).set(view.pass_rate_ppm / 1_000_000)
            RETIRED.labels(name).set(view.is_retired)
        await asyncio.sleep(_SAMPLE_EVERY_S)
