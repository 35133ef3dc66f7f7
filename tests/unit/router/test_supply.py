"""Health and learnt rates, as choices see them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from services.router.app.supply import Supply
from services.router.domain.health import BreakerState, Sign
from services.router.domain.run import Candidate, CandidateState, Run
from tests.unit.router.builders import NOW, accepted, market, offering, template
from winnow.contracts.errors import NotFound
from winnow.contracts.values import Mode


@dataclass
class HandClock:
    passed_s: float = 0.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.passed_s)

    def monotonic_s(self) -> float:
        return self.passed_s


def supply(clock: HandClock) -> Supply:
    dear = offering("dear", prices=(replace(offering("x").prices[0], price_usd_micro=8000),))
    return Supply(market(offering("cheap"), dear).catalogue, clock)


def chosen(one: Supply) -> str | None:
    return one.choose(template(), Mode.low_cost, width=512, height=512).offering


def attempt(one: Supply, sign: Sign, **changes: float) -> None:
    one.started("cheap", template())
    one.ended("cheap", sign, latency_ms=100, retry_after_s=changes.get("retry_after_s"))


def verdicts(one: Supply, *, passed: int, rejected: int) -> None:
    states = [CandidateState.passed] * passed + [CandidateState.rejected] * rejected
    candidates = {
        f"c{n}": Candidate(f"c{n}", 0, n, 1, state, offering="cheap") for n, state in enumerate(states)
    }
    one.learn(Run("task", order=accepted(), candidates=candidates), candidates)


def test_a_broken_offering_is_passed_over_and_tried_again_later() -> None:
    clock = HandClock()
    one = supply(clock)
    assert chosen(one) == "cheap"
    for _ in range(3):
        attempt(one, Sign.fault)
    assert one.breaker_of("cheap") is BreakerState.open
    assert chosen(one) == "dear"
    clock.passed_s = 6
    assert chosen(one) == "cheap"
    one.started("cheap", template())
    assert chosen(one) == "dear"
    one.ended("cheap", Sign.success, latency_ms=10)
    assert chosen(one) == "cheap"


def test_retry_after_blocks_one_offering_only() -> None:
    clock = HandClock()
    one = supply(clock)
    attempt(one, Sign.throttled, retry_after_s=4)
    assert chosen(one) == "dear"
    clock.passed_s = 4
    assert chosen(one) == "cheap"


def test_a_collapsed_pass_rate_quarantines_the_offering() -> None:
    clock = HandClock()
    one = supply(clock)
    verdicts(one, passed=0, rejected=16)
    assert one.breaker_of("cheap") is BreakerState.open
    assert chosen(one) == "dear"


def test_a_middling_pass_rate_changes_the_choice_by_its_price() -> None:
    one = supply(HandClock())
    verdicts(one, passed=30, rejected=100)
    assert one.breaker_of("cheap") is BreakerState.closed
    assert one.pass_rate_ppm("cheap") < 300_000
    assert chosen(one) == "cheap"  # 3000 / 0.26 is still less than 8000 / 0.6


def test_a_drained_offering_is_not_chosen() -> None:
    one = supply(HandClock())
    assert one.drain("cheap", drained=True).drained
    assert chosen(one) == "dear"
    one.drain("cheap", drained=False)
    assert chosen(one) == "cheap"
    with pytest.raises(NotFound):
        one.drain("nothing", drained=True)


def test_slots_are_counted_and_given_back() -> None:
    one = supply(HandClock())
    for _ in range(4):
        one.started("cheap", template())
    assert one.in_flight == 4
    assert chosen(one) is None or chosen(one) == "dear"
    one.ended("cheap", Sign.neutral)
    assert one.in_flight == 3
    one.ended("left the catalogue", Sign.neutral)
    one.took_over("left the catalogue")
    assert one.in_flight == 3
