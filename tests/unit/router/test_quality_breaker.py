"""The quality breaker: a collapsed pass rate opens it, good canaries close it."""

from __future__ import annotations

import pytest

from services.router.domain.health import BreakerState, Quality


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
