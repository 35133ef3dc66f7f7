"""The benches' percentiles never go beyond what was measured, and their figures are of delivered orders."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.bench.lean.load import assert_delivered
from tests.bench.report import Report, percentile, samples_for


@pytest.mark.parametrize(("percent", "needed"), [(50, 4), (95, 40), (99, 200)])
def test_a_percentile_needs_two_values_beyond_it(percent: int, needed: int) -> None:
    assert samples_for(percent) == needed
    assert percentile(range(1, needed + 1), percent) == needed * percent / 100


@pytest.mark.parametrize("count", [0, 1, 30, 60, 199])
def test_p99_of_fewer_than_200_values_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"p99 needs 200 values, there are {count}"):
        percentile([1.0] * count, 99)


def test_a_percentile_is_a_measured_value_whatever_the_order() -> None:
    values = [9_000.0] + [float(number) for number in range(299)]
    assert percentile(values, 99) == 296.0
    assert percentile(values, 50) == 149.0


def test_a_small_sample_is_reported_with_its_maximum_and_its_size() -> None:
    report = Report("test")
    report.add_waits("acceptance", [float(number) for number in range(30)])
    assert [(figure.figure, figure.value) for figure in report.figures] == [
        ("acceptance, p50", 14.0),
        ("acceptance, maximum of 30", 29.0),
    ]


def test_a_large_sample_is_reported_with_p99_and_its_aim() -> None:
    report = Report("test")
    report.add_waits("acceptance", [float(number) for number in range(1, 201)], p99_at_most=197)
    p99 = report.figures[1]
    assert (p99.figure, p99.value, p99.holds) == ("acceptance, p99", 198.0, False)


def test_an_aim_on_p99_with_a_small_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="p99 needs 200"):
        Report("test").add_waits("acceptance", [1.0] * 60, p99_at_most=80)


@pytest.mark.parametrize(
    "states",
    [Counter(delivered=2, partially_delivered=1), Counter(delivered=2, failed=1), Counter(delivered=2)],
    ids=["partly", "failed", "missing"],
)
def test_a_bench_of_orders_that_were_not_all_delivered_fails(states: Counter[str]) -> None:
    with pytest.raises(AssertionError, match="of 3 orders"):
        assert_delivered(states, 3)
    assert_delivered(Counter(delivered=3), 3)
