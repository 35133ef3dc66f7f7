"""A lean line measured: at rest, by lone orders, at fixed rates, and as fast as it goes."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from tests.bench.counts import QUIET_S, Counts, line_counts, lone_orders, when_quiet
from tests.bench.lean.cost import Cost, Window, costs
from tests.bench.lean.load import all_delivered, at_rate, one_by_one, place, settled
from tests.bench.lean.world import CREDITS, ORDER
from tests.bench.processes import cpu_s, pids_of
from tests.bench.report import samples_for
from tests.support.servers import buses
from tests.support.servers.line import Client, RunningLine

_WARM_UP: Final = 50
_WARM_UP_AT_ONCE: Final = 8
_REST_S: Final = 10.0
FASTEST: Final = "as fast as it goes"
Note = Callable[[str], None]
"""Takes a line of progress."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Extent of a measurement: ``lone`` orders are timed, ``counted`` lone orders are counted."""

    orders: int = 1000
    at_once: int = 64
    rates: tuple[float, ...] = (10.0, 25.0)
    seconds: float = 30.0
    lone: int = samples_for(99)
    counted: int = 3
    bus: str = buses.TANSU


@dataclass(frozen=True, slots=True)
class Load:
    """Figures of one load: how it went, what a task cost by process, and the counts of all its orders."""

    title: str
    window: Window
    accepted_s: float
    waits_ms: list[float]
    costs: dict[str, Cost]
    counts: Counts

    @property
    def tasks_per_s(self) -> float:
        """Return the rate that was reached, from the first order to the last bill."""
        return self.window.orders / self.window.busy_s

    def per_task(self, kind: str) -> float:
        """Return the count of a kind for a task, rounded to what a window can tell."""
        return self.counts[kind].total() / self.window.orders


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of a line."""

    rest_cores: dict[str, float]
    lone_counts: list[Counts]
    delivered_ms: list[float]
    billed_ms: list[float]
    loads: list[Load]

    def lone(self, kind: str) -> Counter[str]:
        """Return the counts of the lone order that cost the most of a kind: no two of its writes fell together."""
        return max((counts[kind] for counts in self.lone_counts), key=Counter.total, default=Counter())


class Measurement:
    """Measures a running line; the loads follow each other on one account."""

    def __init__(self, line: RunningLine, plan: Plan, note: Note) -> None:
        """Take a line that has had no orders yet."""
        self._line = line
        self._plan = plan
        self._note = note
        self._processes = pids_of(line)
        self._rest_cores = dict.fromkeys(self._processes, 0.0)
        self._orders = 0

    async def run(self) -> Figures:
        """Measure everything that the plan asks for; raises AssertionError when an order was not delivered."""
        plan = self._plan
        async with self._line.client(credit_count=CREDITS) as client:
            self._note(f"{_WARM_UP} orders to warm up")
            self._orders += _WARM_UP
            await place(client, ORDER, _WARM_UP, _WARM_UP_AT_ONCE)
            await settled(client, self._orders)
            await when_quiet(self._line)
            self._note(f"at rest for {_REST_S:g} s")
            self._rest_cores = await self._at_rest()
            self._note(f"{plan.counted} lone orders, counted")
            self._orders += plan.counted + plan.lone
            lone_counts = await lone_orders(self._line, client, ORDER, plan.counted)
            self._note(f"{plan.lone} lone orders, timed")
            delivered_ms, billed_ms = await one_by_one(client, ORDER, plan.lone)
            loads = [await self._at_rate(client, per_s) for per_s in plan.rates]
            if plan.orders:
                loads.append(await self._fastest(client))
            self._note("every end read once more")
            await all_delivered(client, self._orders)
        return Figures(self._rest_cores, lone_counts, delivered_ms, billed_ms, loads)

    async def _at_rest(self) -> dict[str, float]:
        before, started = cpu_s(self._processes), time.perf_counter()
        await asyncio.sleep(_REST_S)
        after, took_s = cpu_s(self._processes), time.perf_counter() - started
        return {name: (after[name] - before[name]) / took_s for name in self._processes}

    async def _at_rate(self, client: Client, per_s: float) -> Load:
        count = round(per_s * self._plan.seconds)
        title = f"{per_s:g} a second"
        self._note(f"{title}, {count} orders")
        return await self._load(client, title, count, lambda: at_rate(client, ORDER, per_s, count))

    async def _fastest(self, client: Client) -> Load:
        count, at_once = self._plan.orders, self._plan.at_once
        self._note(f"{FASTEST}, {count} orders, {at_once} at once")
        return await self._load(client, FASTEST, count, lambda: place(client, ORDER, count, at_once))

    async def _load(
        self, client: Client, title: str, count: int, send: Callable[[], Awaitable[list[float]]]
    ) -> Load:
        before = await when_quiet(self._line)
        spent, started = cpu_s(self._processes), time.perf_counter()
        waits_ms = await send()
        accepted_s = time.perf_counter() - started
        self._orders += count
        await settled(client, self._orders)
        busy_s = time.perf_counter() - started
        await asyncio.sleep(QUIET_S)
        whole_s, after = time.perf_counter() - started, cpu_s(self._processes)
        counts = (await line_counts(self._line)).of_orders() - before
        window = Window(whole_s, busy_s, count)
        spent = {name: after[name] - spent[name] for name in self._processes}
        return Load(title, window, accepted_s, waits_ms, costs(spent, self._rest_cores, window), counts)
