"""Health and learnt rates, as choices see them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.router.app.offering_pool import OfferingPool
from services.router.domain.health import BreakerState, HealthSignal
from services.router.domain.run import Candidate, CandidateState, Run
from tests.support.clock import SetClock
from tests.unit.router.builders import NOW, accepted, market, offering, template
from winnow.contracts.errors import NotFound
from winnow.contracts.values import Mode


def pool(clock: SetClock) -> OfferingPool:
    dear = offering("dear", prices=(replace(offering("x").prices[0], price_usd_micro=8000),))
    return OfferingPool(market(offering("cheap"), dear).catalogue, clock)


def chosen(offerings: OfferingPool) -> str | None:
    return offerings.choose(template(), Mode.low_cost, width=512, height=512).offering


def attempt(offerings: OfferingPool, signal: HealthSignal, **changes: float) -> None:
    offerings.started("cheap", template())
    offerings.ended("cheap", signal, latency_ms=100, retry_after_s=changes.get("retry_after_s"))


def verdicts(offerings: OfferingPool, *, passed: int, rejected: int) -> None:
    states = [CandidateState.passed] * passed + [CandidateState.rejected] * rejected
    candidates = {
        f"c{n}": Candidate(f"c{n}", 0, n, 1, state, offering="cheap") for n, state in enumerate(states)
    }
    offerings.learn(Run("task", order=accepted(), candidates=candidates), candidates)


def test_a_broken_offering_is_passed_over_and_tried_again_later() -> None:
    clock = SetClock(NOW)
    offerings = pool(clock)
    assert chosen(offerings) == "cheap"
    for _ in range(3):
        attempt(offerings, HealthSignal.fault)
    assert offerings.breaker_of("cheap") is BreakerState.open
    assert chosen(offerings) == "dear"
    clock.pass_s(6)
    assert chosen(offerings) == "cheap"
    offerings.started("cheap", template())
    assert chosen(offerings) == "dear"
    offerings.ended("cheap", HealthSignal.success, latency_ms=10)
    assert chosen(offerings) == "cheap"


def test_retry_after_blocks_one_offering_only() -> None:
    clock = SetClock(NOW)
    offerings = pool(clock)
    attempt(offerings, HealthSignal.throttled, retry_after_s=4)
    assert chosen(offerings) == "dear"
    clock.pass_s(4)
    assert chosen(offerings) == "cheap"


def test_a_collapsed_pass_rate_quarantines_the_offering() -> None:
    clock = SetClock(NOW)
    offerings = pool(clock)
    verdicts(offerings, passed=0, rejected=16)
    assert offerings.breaker_of("cheap") is BreakerState.open
    assert chosen(offerings) == "dear"


def test_a_middling_pass_rate_changes_the_choice_by_its_price() -> None:
    offerings = pool(SetClock(NOW))
    verdicts(offerings, passed=30, rejected=100)
    assert offerings.breaker_of("cheap") is BreakerState.closed
    assert offerings.pass_rate_ppm("cheap") < 300_000
    assert chosen(offerings) == "cheap"  # 3000 / 0.26 is still less than 8000 / 0.6


def test_a_drained_offering_is_not_chosen() -> None:
    offerings = pool(SetClock(NOW))
    assert offerings.drain("cheap", drained=True).drained
    assert chosen(offerings) == "dear"
    offerings.drain("cheap", drained=False)
    assert chosen(offerings) == "cheap"
    with pytest.raises(NotFound):
        offerings.drain("nothing", drained=True)


def test_slots_are_counted_and_given_back() -> None:
    offerings = pool(SetClock(NOW))
    for _ in range(4):
        offerings.started("cheap", template())
    assert offerings.in_flight == 4
    assert chosen(offerings) is None or chosen(offerings) == "dear"
    offerings.ended("cheap", HealthSignal.neutral)
    assert offerings.in_flight == 3
    offerings.ended("left the catalogue", HealthSignal.neutral)
    offerings.took_over("left the catalogue")
    assert offerings.in_flight == 3
