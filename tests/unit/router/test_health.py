"""Breakers, learnt rates and adaptive concurrency."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.router.domain.health import (
    OPEN_FIRST_S,
    OPEN_MAX_S,
    BreakerState,
    Health,
    HealthSignal,
    Quality,
)


def fresh(limit: int = 8) -> Health:
    return Health.fresh(concurrency_limit=limit, latency_prior_ms=1000, success_prior_ppm=950_000)


def attempt(health: Health, signal: HealthSignal, now_s: float, retry_after_s: float | None = None) -> Health:
    return health.started(now_s).ended(signal, latency_ms=500, now_s=now_s, retry_after_s=retry_after_s)


def broken(now_s: float = 0.0) -> Health:
    health = fresh()
    for _ in range(3):
        health = attempt(health, HealthSignal.fault, now_s)
    return health


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


def test_the_learnt_success_rate_follows_what_happens() -> None:
    good, bad = fresh(), fresh()
    for now_s in range(50):
        good = attempt(good, HealthSignal.success, float(now_s))
        bad = attempt(bad, HealthSignal.fault, float(now_s))
    assert good.success_rate_ppm > 980_000
    assert bad.success_rate_ppm < 300_000


def test_the_prior_counts_as_ten_verdicts() -> None:
    quality = Quality(600_000)
    assert quality.pass_rate_ppm == 600_000
    assert quality.after_verdicts(passed=10, scored=10, now_s=0).pass_rate_ppm > 750_000


def test_the_weight_of_a_verdict_halves_after_34_newer_ones() -> None:
    quality = Quality(600_000).after_verdicts(passed=10, scored=10, now_s=0.0)
    for _ in range(34):
        quality = quality.after_verdicts(passed=0, scored=1, now_s=0.0)
    assert quality.passed == pytest.approx(5.0, abs=0.1)


def test_an_offering_that_became_better_is_believed_after_a_hundred_verdicts() -> None:
    quality = Quality(600_000)
    for _ in range(100):
        quality = quality.after_verdicts(passed=2, scored=5, now_s=0.0)
    for _ in range(20):
        quality = quality.after_verdicts(passed=5, scored=5, now_s=0.0)
    assert quality.pass_rate_ppm > 800_000


def test_old_verdicts_weigh_half_for_a_choice_after_ten_minutes() -> None:
    quality = Quality(600_000)
    for _ in range(20):
        quality = quality.after_verdicts(passed=1, scored=5, now_s=0.0)
    now, later, much_later = (quality.hopeful_rate_ppm(at_s) for at_s in (0.0, 600.0, 36_000.0))
    assert now < later < much_later
    assert much_later == Quality(600_000).hopeful_rate_ppm(0.0)


def test_the_weight_of_an_attempt_fades_in_the_success_rate() -> None:
    health = fresh()
    for now_s in range(100):
        health = attempt(health, HealthSignal.fault, float(now_s))
    for now_s in range(100, 200):
        health = attempt(health, HealthSignal.success, float(now_s))
    assert health.success_rate_ppm > 800_000


def test_the_quality_breaker_opens_below_a_share_of_the_prior_and_not_at_it() -> None:
    fresh_ = Quality(1_000_000)
    assert fresh_.after_verdicts(passed=7, scored=20, now_s=0.0).breaker.state is BreakerState.closed
    assert fresh_.after_verdicts(passed=6, scored=20, now_s=0.0).breaker.state is BreakerState.open


def test_the_quality_breaker_needs_twelve_verdicts() -> None:
    quality = Quality(1_000_000)
    assert quality.after_verdicts(passed=0, scored=11, now_s=0.0).breaker.state is BreakerState.closed
    assert quality.after_verdicts(passed=0, scored=12, now_s=0.0).breaker.state is BreakerState.open


def test_a_collapsed_pass_rate_opens_the_quality_breaker_and_good_canaries_close_it() -> None:
    quality = Quality(600_000)
    for _ in range(4):
        quality = quality.after_verdicts(passed=0, scored=4, now_s=0.0)
    assert not quality.breaker.admits(1.0)
    later_s = quality.breaker.until_s
    assert quality.breaker.admits(later_s)
    recovered = quality.after_verdicts(passed=4, scored=4, now_s=later_s)
    assert recovered.breaker.state is BreakerState.closed
    still_bad = quality.after_verdicts(passed=0, scored=4, now_s=later_s)
    assert not still_bad.breaker.admits(later_s)


def test_a_canary_at_the_floor_does_not_close_the_quality_breaker() -> None:
    quality = Quality(1_000_000)
    for _ in range(4):
        quality = quality.after_verdicts(passed=0, scored=4, now_s=0.0)
    later_s = quality.breaker.until_s
    assert quality.after_verdicts(passed=7, scored=20, now_s=later_s).breaker.state is BreakerState.open
    assert quality.after_verdicts(passed=8, scored=20, now_s=later_s).breaker.state is BreakerState.closed


def test_a_usual_pass_rate_leaves_the_quality_breaker_closed() -> None:
    quality = Quality(600_000)
    for _ in range(50):
        quality = quality.after_verdicts(passed=2, scored=4, now_s=0.0)
    assert quality.breaker.state is BreakerState.closed
    assert quality.pass_rate_ppm == pytest.approx(520_000, abs=20_000)


def test_hope_exceeds_the_mean_and_grows_again_with_time() -> None:
    quality = Quality(600_000)
    for _ in range(30):
        quality = quality.after_verdicts(passed=1, scored=4, now_s=0.0)
    assert quality.hopeful_rate_ppm(0.0) > quality.pass_rate_ppm
    assert quality.hopeful_rate_ppm(3600.0) > quality.hopeful_rate_ppm(0.0) + 100_000
