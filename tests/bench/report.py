"""Figures of a benchmark: a table for people, a file for programs."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

FOLDER = Path("build/bench")


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value; ``holds`` is None when there is no aim."""

    figure: str
    value: float
    unit: str
    aim: str | None
    holds: bool | None
    command: str


class Report:
    """Collects the figures of one benchmark."""

    def __init__(self, name: str) -> None:
        """Name the benchmark as its make target does."""
        self._name = name
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

    def close(self) -> None:
        """Print the table and write the file."""
        table = Table(
            title=f"{self._command}   (load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores)"
        )
        for column in ("figure", "value", "unit", "aim", "holds"):
            table.add_column(column)
        for one in self.figures:
            holds = "" if one.holds is None else "yes" if one.holds else "NO"
            table.add_row(one.figure, f"{one.value:g}", one.unit, one.aim or "", holds)
        Console(width=120).print(table)
        FOLDER.mkdir(parents=True, exist_ok=True)
        path = FOLDER / f"{self._name}.json"
        path.write_text(json.dumps([asdict(one) for one in self.figures], indent=1) + "\n")
