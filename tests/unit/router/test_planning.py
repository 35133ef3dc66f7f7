"""Number of candidates: the binomial tail, and the bounds."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.router.domain.catalogue import PPM
from services.router.domain.planning import (
    affordable_count,
    blended_rate_ppm,
    plan_count,
    tail_ppm,
)

rates = st.integers(min_value=20_000, max_value=PPM)


@pytest.mark.parametrize(
    ("count", "wanted", "rate_ppm", "expected"),
    [
        (1, 1, 500_000, 500_000),
        (2, 1, 500_000, 750_000),
        (16, 4, 400_000, 934_853),  # "N=16 falls short of 4 in 6.2 % of tasks" and a rounding
        (3, 4, 900_000, 0),
        (5, 0, 100_000, PPM),
        (4, 4, PPM, PPM),
    ],
)
def test_tail_is_the_binomial_tail(count: int, wanted: int, rate_ppm: int, expected: int) -> None:
    assert tail_ppm(count, wanted, rate_ppm) == pytest.approx(expected, abs=600)


@given(st.integers(1, 200), st.integers(1, 60), rates)
def test_tail_agrees_with_exact_arithmetic(count: int, wanted: int, rate_ppm: int) -> None:
    hits = sum(
        comb(count, passed) * rate_ppm**passed * (PPM - rate_ppm) ** (count - passed)
        for passed in range(wanted, count + 1)
    )
    assert tail_ppm(count, wanted, rate_ppm) == pytest.approx(hits * PPM // PPM**count, abs=2)


@given(st.integers(1, 40), rates, st.integers(500_000, 990_000), st.integers(1, 600))
def test_plan_is_the_least_count_that_suffices(
    wanted: int, rate_ppm: int, confidence_ppm: int, count_max: int
) -> None:
    count = plan_count(wanted, rate_ppm, confidence_ppm=confidence_ppm, count_max=count_max)
    assert 0 < count <= count_max
    if count < count_max:
        assert tail_ppm(count, wanted, rate_ppm) >= confidence_ppm
    if count > wanted:
        assert tail_ppm(count - 1, wanted, rate_ppm) < confidence_ppm


def test_plan_of_nothing_is_nothing() -> None:
    assert plan_count(0, 500_000, confidence_ppm=950_000, count_max=10) == 0
    assert plan_count(3, 500_000, confidence_ppm=950_000, count_max=0) == 0


def test_a_hopeless_rate_is_planned_as_two_percent() -> None:
    hopeless = plan_count(1, 0, confidence_ppm=950_000, count_max=1000)
    assert hopeless == plan_count(1, 20_000, confidence_ppm=950_000, count_max=1000) == 149


def test_the_own_verdicts_move_the_rate() -> None:
    assert blended_rate_ppm(600_000, 8, passed=0, scored=0) == 600_000
    assert blended_rate_ppm(600_000, 8, passed=0, scored=8) == 300_000
    assert blended_rate_ppm(600_000, 8, passed=8, scored=8) == 800_000


@given(st.integers(0, 10**6), st.integers(0, 10**7), st.integers(0, 10**7))
def test_what_is_affordable_stays_within_the_cap(price: int, committed: int, cap: int) -> None:
    count = affordable_count(price, committed_usd_micro=committed, cap_usd_micro=cap)
    assert count >= 0
    if count:
        assert committed + count * price <= cap or price == 0
