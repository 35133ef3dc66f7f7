"""The figures of a lean line: the names that programs read, and tables for people."""

from __future__ import annotations

import os
from collections import Counter
from typing import Final

from rich.console import Console
from rich.table import Table

from tests.bench.counts import KINDS, QUIET_S
from tests.bench.lean.cost import Cost
from tests.bench.lean.measure import FASTEST, Figures, Load
from tests.bench.processes import BROKERS
from tests.bench.report import Report
from winnow.local.line import SERVICES

SERVICES_AND_BROKER: Final = "CPU of the five services and the broker"
LONE: Final = "lone order"
CPU_AIM_MS: Final = 15.0
COUNT_AIMS: Final = {"documents": 9.0, "commands": 2.0, "object calls": 7.0}
"""Aims of a task under load."""
_WIDTH: Final = 130


def counted(cost_by_process: dict[str, Cost]) -> Cost:
    """Return what the services and the broker cost; the database and the object store stand beside."""
    ours = [cost for name, cost in cost_by_process.items() if name in (*SERVICES, *BROKERS.values())]
    return sum(ours, start=Cost(0.0, 0.0))


def note(figures: Figures, report: Report) -> None:
    """Add every figure to the report, by the names that programs read."""
    for name, cores in figures.rest_cores.items():
        report.add(f"at rest: CPU of {name}", cores * 100, "% of a core")
    if figures.lone_counts:
        for kind in KINDS:
            report.add(f"{LONE}: {kind}", figures.lone(kind).total(), "")
    if figures.delivered_ms:
        report.add_waits(f"{LONE}: accepted to delivered", figures.delivered_ms)
        report.add_waits(f"{LONE}: order to bill", figures.billed_ms)
    for load in figures.loads:
        _note_load(load, report)


def _note_load(load: Load, report: Report) -> None:
    title = load.title
    ours = counted(load.costs)
    cpu_aim, aims = (CPU_AIM_MS, COUNT_AIMS) if title == FASTEST else (None, {})
    report.add(f"{title}: {SERVICES_AND_BROKER}", ours.with_rest_ms, "ms per task", at_most=cpu_aim)
    report.add(f"{title}: {SERVICES_AND_BROKER}, without rest", ours.without_rest_ms, "ms per task")
    for name, spent in load.costs.items():
        report.add(f"{title}: CPU of {name}", spent.with_rest_ms, "ms per task")
        report.add(f"{title}: CPU of {name}, without rest", spent.without_rest_ms, "ms per task")
    report.add(f"{title}: end to end", load.tasks_per_s, "tasks/s")
    report.add(f"{title}: accepted", load.window.orders / load.accepted_s, "orders/s")
    report.add_waits(f"{title}: acceptance", load.waits_ms)
    for kind in KINDS:
        report.add(f"{title}: {kind}", load.per_task(kind), "per task", at_most=aims.get(kind))


def show(figures: Figures, report: Report) -> None:
    """Print the tables."""
    console = Console(width=_WIDTH)
    console.print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    console.print(_cpu_table(figures))
    console.print(_count_table(figures))
    console.print(_document_table(figures))
    console.print(_time_table(report))


def _cpu_table(figures: Figures) -> Table:
    table = Table(
        title="CPU of a task in ms, with what the process spends at rest meanwhile (without it)",
        caption=f"counted until {QUIET_S:g} s after the last bill; rest in % of a core, measured first",
    )
    table.add_column("process")
    table.add_column("at rest", justify="right")
    for load in figures.loads:
        table.add_column(f"{load.title}\n({load.tasks_per_s:.1f} reached)", justify="right")
    for name, cores in figures.rest_cores.items():
        table.add_row(name, f"{cores:.1%}", *(_pair(load.costs[name]) for load in figures.loads))
    ours = sum(cores for name, cores in figures.rest_cores.items() if name in (*SERVICES, *BROKERS.values()))
    table.add_section()
    table.add_row(
        "services and broker", f"{ours:.1%}", *(_pair(counted(load.costs)) for load in figures.loads)
    )
    return table


def _pair(cost: Cost) -> str:
    return f"{cost.with_rest_ms:.2f} ({cost.without_rest_ms:.2f})"


def _count_table(figures: Figures) -> Table:
    table = _columns("counts of a task, without leases, sweeps and caches of keys", "kind", figures)
    for kind in KINDS:
        table.add_row(
            kind,
            *([str(figures.lone(kind).total())] if figures.lone_counts else []),
            *(f"{load.per_task(kind):.2f}" for load in figures.loads),
        )
    return table


def _document_table(figures: Figures) -> Table:
    table = _columns("documents written for a task, by collection", "service, collection", figures)
    loads = [(load.counts.by_collection(), load.window.orders) for load in figures.loads]
    lone = max(
        (counts.by_collection() for counts in figures.lone_counts), key=Counter.total, default=Counter[str]()
    )
    for name in sorted({*lone, *(name for found, _ in loads for name in found)}):
        table.add_row(
            name,
            *([str(lone[name])] if figures.lone_counts else []),
            *(f"{found[name] / orders:.3f}" for found, orders in loads),
        )
    return table


def _columns(title: str, first: str, figures: Figures) -> Table:
    table = Table(title=title)
    table.add_column(first)
    for name in [*([LONE] if figures.lone_counts else []), *(load.title for load in figures.loads)]:
        table.add_column(name, justify="right")
    return table


def _time_table(report: Report) -> Table:
    table = Table(title="times, rates and aims")
    for column in ("figure", "value", "unit", "aim", "holds"):
        table.add_column(column)
    for figure in report.figures:
        if figure.aim or figure.unit in {"ms", "tasks/s", "orders/s"}:
            holds = "" if figure.holds is None else "yes" if figure.holds else "NO"
            table.add_row(figure.figure, f"{figure.value:,.1f}", figure.unit, figure.aim or "", holds)
    return table
