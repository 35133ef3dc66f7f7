"""Health of an offering, and the attempts that change it."""

from __future__ import annotations

from services.router.domain.health import Health, HealthSignal


def fresh(limit: int = 8) -> Health:
    return Health.fresh(concurrency_limit=limit, latency_prior_ms=1000, success_prior_ppm=950_000)


def attempt(health: Health, signal: HealthSignal, now_s: float, retry_after_s: float | None = None) -> Health:
    return health.started(now_s).ended(signal, latency_ms=500, now_s=now_s, retry_after_s=retry_after_s)


def broken(now_s: float = 0.0) -> Health:
    health = fresh()
    for _ in range(3):
        health = attempt(health, HealthSignal.fault, now_s)
    return health
