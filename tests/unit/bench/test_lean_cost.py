"""The cost of a task is told with and without what a process spends at rest, and builds are compared pair by pair."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.lean.cost import Cost, Window, compare, cost, costs, order_of_pair

WINDOW = Window(whole_s=40.0, busy_s=30.0, orders=300)


def test_a_process_that_spends_as_at_rest_costs_a_task_its_rest_alone() -> None:
    spent = cost(0.1 * WINDOW.whole_s, 0.1, WINDOW)
    assert spent.without_rest_ms == pytest.approx(0.0)
    assert spent.with_rest_ms == pytest.approx(0.1 * 30.0 * 1000 / 300)


def test_the_tail_after_the_last_bill_is_nobodys_rest() -> None:
    """Of 10 s of CPU, 4 s are rest in 40 s; in the 30 s with orders it was 3 s."""
    spent = cost(10.0, 0.1, WINDOW)
    assert spent.without_rest_ms == pytest.approx(20.0)
    assert spent.with_rest_ms == pytest.approx(30.0)


def test_a_process_that_spends_less_than_at_rest_is_shown_so() -> None:
    assert cost(1.0, 0.1, WINDOW).without_rest_ms == pytest.approx(-10.0)


@given(
    work_s=st.floats(0, 100),
    rest=st.floats(0, 2),
    busy_s=st.floats(1, 100),
    tail_s=st.floats(0, 100),
    orders=st.integers(1, 10_000),
)
def test_the_length_of_the_tail_changes_nothing(
    work_s: float, rest: float, busy_s: float, tail_s: float, orders: int
) -> None:
    whole_s = busy_s + tail_s
    spent = cost(work_s + rest * whole_s, rest, Window(whole_s, busy_s, orders))
    assert spent.without_rest_ms == pytest.approx(work_s * 1000 / orders, abs=1e-6)
    assert spent.with_rest_ms == pytest.approx((work_s + rest * busy_s) * 1000 / orders, abs=1e-6)


def test_costs_are_told_by_process_and_can_be_added() -> None:
    found = costs({"router": 6.0, "ledger": 3.0}, {"router": 0.0, "ledger": 0.0}, WINDOW)
    assert found["router"] + found["ledger"] == Cost(30.0, 30.0)


def test_the_ratio_is_the_median_of_the_pairs_not_the_ratio_of_medians() -> None:
    """A machine that gets three times slower leaves every pair's ratio as it was."""
    found = compare([(10.0, 5.0), (20.0, 10.0), (30.0, 18.0)])
    assert found is not None
    assert (found.ratio, found.least, found.most) == (0.5, 0.5, 0.6)
    assert (found.before, found.after) == (20.0, 10.0)


@pytest.mark.parametrize("pairs", [[], [(0.0, 1.0)], [(1.0, 1.0), (-0.1, 1.0)]])
def test_a_figure_of_nothing_has_no_ratio(pairs: list[tuple[float, float]]) -> None:
    assert compare(pairs) is None


def test_the_builds_take_turns_in_being_first() -> None:
    firsts = [order_of_pair(number)[0] for number in range(6)]
    assert firsts == ["before", "after"] * 3
