"""Learnt rates of success and of passing: priors, fading weights and hope."""

from __future__ import annotations

import pytest

from services.router.domain.health import HealthSignal, Quality
from tests.unit.router.health_steps import attempt, fresh


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


def test_hope_exceeds_the_mean_and_grows_again_with_time() -> None:
    quality = Quality(600_000)
    for _ in range(30):
        quality = quality.after_verdicts(passed=1, scored=4, now_s=0.0)
    assert quality.hopeful_rate_ppm(0.0) > quality.pass_rate_ppm
    assert quality.hopeful_rate_ppm(3600.0) > quality.hopeful_rate_ppm(0.0) + 100_000
