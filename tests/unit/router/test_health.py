"""Breakers of an offering, and its adaptive concurrency."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.router.domain.health import OPEN_FIRST_S, OPEN_MAX_S, BreakerState, HealthSignal
from tests.unit.router.health_steps import attempt, broken, fresh


def test_three_faults_in_a_row_open_the_breaker() -> None:
    health = fresh()
    for _ in range(2):
        health = attempt(health, HealthSignal.fault, 0.0)
    assert health.refusal(0.0) is None
    health = attempt(health, HealthSignal.fault, 0.0)
    assert health.refusal(0.0) == "breaker_open"


def test_an_open_breaker_lets_one_canary_through_after_its_time() -> None:
    health = broken()
    assert health.refusal(OPEN_FIRST_S - 0.1) == "breaker_open"
    assert health.refusal(OPEN_FIRST_S) is None
    out = health.started(OPEN_FIRST_S)
    assert out.refusal(OPEN_FIRST_S) == "breaker_open"
    closed = out.ended(HealthSignal.success, latency_ms=10, now_s=OPEN_FIRST_S + 1)
    assert closed.breaker.state is BreakerState.closed
    assert closed.refusal(OPEN_FIRST_S + 1) is None


def test_a_failed_canary_opens_for_twice_as_long_up_to_a_minute() -> None:
    health, now_s, waits = broken(), 0.0, []
    for _ in range(6):
        waits.append(health.breaker.until_s - now_s)
        now_s = health.breaker.until_s
        health = attempt(health, HealthSignal.fault, now_s)
    assert waits == [5, 10, 20, 40, 60, 60]
    assert max(waits) == OPEN_MAX_S


def test_a_canary_without_a_finding_is_sent_again() -> None:
    health = broken()
    health = attempt(health, HealthSignal.neutral, OPEN_FIRST_S)
    assert health.refusal(OPEN_FIRST_S) is None
    assert health.breaker.at(OPEN_FIRST_S).state is BreakerState.half_open


def test_retry_after_is_obeyed_exactly() -> None:
    health = attempt(fresh(), HealthSignal.throttled, 10.0, retry_after_s=7.5)
    assert health.refusal(17.49) == "retry_after"
    assert health.refusal(17.5) is None


def test_a_throttle_halves_the_concurrency_and_successes_bring_it_back() -> None:
    health = attempt(fresh(8), HealthSignal.throttled, 0.0)
    assert int(health.limit) == 4
    for _ in range(40):
        health = attempt(health, HealthSignal.success, 10.0)
    assert int(health.limit) == 8


def test_a_drained_offering_takes_nothing() -> None:
    from dataclasses import replace

    assert replace(fresh(), drained=True).refusal(0.0) == "drained"


@given(st.lists(st.sampled_from(list(HealthSignal)), max_size=60), st.integers(1, 16))
def test_health_stays_within_its_bounds(signs: list[HealthSignal], limit: int) -> None:
    health = fresh(limit)
    for now_s, signal in enumerate(signs):
        health = attempt(health, signal, float(now_s))
        assert health.in_flight == 0
        assert 1.0 <= health.limit <= max(1.0, limit)
        assert 0 <= health.success_rate_ppm <= 1_000_000
        assert health.slots_free >= 1
