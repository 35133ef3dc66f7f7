"""Figures of a benchmark: a table for people, a file for programs."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

FOLDER = Path("build/bench")


_BEYOND_MIN = 2
"""Values that must lie beyond a percentile, so that it is no guess from the largest one."""


def samples_for(percent: int) -> int:
    """Return how many values a percentile needs: 4 for p50, 40 for p95, 200 for p99."""
    return -(-_BEYOND_MIN * 100 // (100 - percent))


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the smallest value that at least ``percent`` in a hundred do not exceed; never a value between two.

    Raises ValueError when there are fewer values than ``samples_for(percent)``.
    """
    needed = samples_for(percent)
    if len(values) < needed:
        msg = f"p{percent} needs {needed} values, there are {len(values)}: report the maximum"
        raise ValueError(msg)
    return sorted(values)[-(-percent * len(values) // 100) - 1]


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value; ``holds`` is None when there is no aim."""

    figure: str
    value: float
    unit: str
    aim: str | None
    holds: bool | None
    command: str
    least: float | None = None
    most: float | None = None


class Report:
    """Collects the figures of one benchmark."""

    def __init__(self, name: str) -> None:
        """Name the benchmark as its make target does."""
        self.name = name
        self._command = f"make bench-{name}"
        self.figures: list[Figure] = []

    def add(
        self,
        figure: str,
        value: float,
        unit: str,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> None:
        """Note a value, with its aim where there is one."""
        aim = (
            f">= {at_least:g}" if at_least is not None else f"<= {at_most:g}" if at_most is not None else None
        )
        holds = (
            value >= at_least if at_least is not None else value <= at_most if at_most is not None else None
        )
        self.figures.append(Figure(figure, round(value, 4), unit, aim, holds, self._command))

    def add_sample(
        self,
        figure: str,
        values: Sequence[float],
        unit: str,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> None:
        """Note the median of several rounds, with the least and the most."""
        self.add(figure, statistics.median(values), unit, at_least=at_least, at_most=at_most)
        spread = replace(self.figures[-1], least=round(min(values), 4), most=round(max(values), 4))
        self.figures[-1] = spread

    def add_waits(
        self,
        figure: str,
        waits_ms: Sequence[float],
        *,
        p50_at_most: float | None = None,
        p99_at_most: float | None = None,
    ) -> None:
        """Note the median, and p99 where the sample is large enough for it, else the maximum.

        Raises ValueError for an aim on p99 with a sample that is too small for it.
        """
        self.add(f"{figure}, p50", percentile(waits_ms, 50), "ms", at_most=p50_at_most)
        if len(waits_ms) >= samples_for(99) or p99_at_most is not None:
            self.add(f"{figure}, p99", percentile(waits_ms, 99), "ms", at_most=p99_at_most)
        else:
            self.add(f"{figure}, maximum of {len(waits_ms)}", max(waits_ms), "ms")

    def close(self) -> None:
        """Print the table and write the file."""
        self.print()
        self.write(FOLDER / f"{self.name}.json")

    def print(self) -> None:
        """Print the table."""
        table = Table(
            title=f"{self._command}   (load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores)"
        )
        for column in ("figure", "value", "least to most", "unit", "aim", "holds"):
            table.add_column(column)
        for figure in self.figures:
            holds = "" if figure.holds is None else "yes" if figure.holds else "NO"
            spread = "" if figure.least is None else f"{figure.least:,g} to {figure.most:,g}"
            table.add_row(figure.figure, f"{figure.value:,g}", spread, figure.unit, figure.aim or "", holds)
        Console(width=120).print(table)

    def write(self, path: Path) -> None:
        """Write the figures for programs."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([asdict(figure) for figure in self.figures], indent=1) + "\n")
