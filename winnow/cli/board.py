"""The steps of a start: drawn over each other on a terminal, a line each elsewhere."""

from __future__ import annotations

import contextlib
import time
from typing import Final

from rich.live import Live
from rich.table import Table

from winnow.cli.console import out

_MARKS: Final = {"waiting": "[dim]·[/]", "starting": "[yellow]…[/]", "ready": "[green]✓[/]"}
_OTHER_MARK: Final = "[red]![/]"


class Board:
    """Shows which processes are up."""

    def __init__(self) -> None:
        """Start empty."""
        self._steps: dict[str, str] = {}
        self._started_s: dict[str, float] = {}
        self._live = Live(self._table(), console=out, refresh_per_second=8)

    def tell(self, name: str, step: str) -> None:
        """Note a process's step."""
        self._steps[name] = step
        self._live.update(self._table())
        if step == "starting":
            self._started_s[name] = time.monotonic()
        if step == "waiting" or out.is_terminal:
            return
        took = ""
        if step == "ready" and name in self._started_s:
            took = f" after {time.monotonic() - self._started_s[name]:.1f} s"
        out.print(f"{name} {step}{took}", markup=False)

    def shown(self) -> contextlib.AbstractContextManager[object]:
        """Draw the board; where lines cannot be drawn over, each step has a line of its own."""
        return self._live if out.is_terminal else contextlib.nullcontext()

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 1))
        for name, step in self._steps.items():
            mark = _MARKS.get(step, _OTHER_MARK)
            table.add_row(mark, name, f"[dim]{step}[/]" if step != "ready" else "")
        return table
