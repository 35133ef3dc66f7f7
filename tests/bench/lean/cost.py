"""Cost of a task from the CPU of processes, at rest and under load apart; and ratios of runs in turns."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU of a process for a task, in ms: with its share of what the process spends at rest, and without."""

    with_rest_ms: float
    without_rest_ms: float

    def __add__(self, other: Cost) -> Cost:
        """Add what two processes cost."""
        return Cost(self.with_rest_ms + other.with_rest_ms, self.without_rest_ms + other.without_rest_ms)


@dataclass(frozen=True, slots=True)
class Window:
    """A time of measuring: how long it was in all, how long orders were under way in it, and how many."""

    whole_s: float
    busy_s: float
    orders: int


def cost(spent_s: float, rest_cores: float, window: Window) -> Cost:
    """Return what a task costs a process that spent ``spent_s``, and spends ``rest_cores`` of a core at rest.

    The window outlasts the orders, so that what is written behind them counts; the rest of that tail belongs to nobody.
    """
    without_s = spent_s - rest_cores * window.whole_s
    with_s = without_s + rest_cores * window.busy_s
    return Cost(with_s * 1000 / window.orders, without_s * 1000 / window.orders)


def costs(spent_s: Mapping[str, float], rest_cores: Mapping[str, float], window: Window) -> dict[str, Cost]:
    """Return the cost of a task by process."""
    return {name: cost(spent, rest_cores[name], window) for name, spent in spent_s.items()}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A figure of two builds that ran in turns: the medians of each, and the ratios of the pairs."""

    before: float
    after: float
    ratios: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Return the median of the ratios; it is not the ratio of the medians, which drift would move."""
        return statistics.median(self.ratios)

    @property
    def least(self) -> float:
        """Return the least ratio."""
        return min(self.ratios)

    @property
    def most(self) -> float:
        """Return the greatest ratio."""
        return max(self.ratios)


def compare(pairs: Sequence[tuple[float, float]]) -> Comparison | None:
    """Compare pairs of (before, after); None where a ratio has no meaning, since a figure before is zero or less."""
    if not pairs or any(before <= 0 for before, _ in pairs):
        return None
    return Comparison(
        statistics.median(before for before, _ in pairs),
        statistics.median(after for _, after in pairs),
        tuple(after / before for before, after in pairs),
    )


def order_of_pair(number: int) -> tuple[str, str]:
    """Return which build runs first in a pair: in turns, so that a machine that gets slower favours neither."""
    return ("before", "after") if number % 2 == 0 else ("after", "before")
