"""The tables of measured figures in the pages, written from the CSV files in ``docs/benchmarks``.

A page marks the place: ``<!-- figures: history.csv journal -->`` begins a table of the rows whose figure belongs to the
group ``journal`` (written ``journal: ...`` in the file), ``<!-- end of figures -->`` ends it. Without a group the table has
every row of the file.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "docs/benchmarks"
COLUMNS: Final = ("date", "commit", "command", "figure", "value", "unit", "n", "note")
"""The columns of every file of figures; ``faults.csv`` has its own, those of the fault matrix."""
PAGES: Final = (
    "docs/benchmarks.md",
    "docs/chaos.md",
    "docs/design.md",
    "docs/quality.md",
)
_PLACE: Final = re.compile(
    r"(<!-- figures: (\S+)(?: ([\w -]+?))? -->\n).*?(<!-- end of figures -->)", re.DOTALL
)


def page_with_tables(page: str) -> str:
    """Return the text of a page with its tables as the files have them now."""
    return _PLACE.sub(_filled, (ROOT / page).read_text())


def read_figures(name: str) -> list[dict[str, str]]:
    """Return the rows of a file; raises ValueError when its columns are others, or a row has no value or no source."""
    with (FOLDER / name).open(newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{name}: the columns are {', '.join(COLUMNS)}")
        rows = list(reader)
    for row in rows:
        if not (row["date"] and row["command"] and row["figure"] and row["value"]):
            raise ValueError(f"{name}: a figure has a date, a command and a value: {row}")
    return rows


def _filled(place: re.Match[str]) -> str:
    name, group = place[2], place[3]
    table = fault_table() if name == "faults.csv" else figure_table(read_figures(name), group)
    return f"{place[1]}{table}\n{place[4]}"


def figure_table(rows: Sequence[Mapping[str, str]], group: str | None) -> str:
    """Return the Markdown table of the rows of a group, or of all; columns that are empty throughout are left out."""
    chosen = [row for row in rows if group is None or row["figure"].startswith(f"{group}: ")]
    if not chosen:
        raise ValueError(f"no figure belongs to {group}")
    cells = [
        {
            "figure": row["figure"].split(": ", 1)[1] if group else row["figure"],
            "value": f"{row['value']} {row['unit']}".strip(),
            "n": row["n"],
            "command": f"`{row['command']}`" if " " in row["command"] else row["command"],
            "date": row["date"],
            "commit": row["commit"],
            "note": row["note"],
        }
        for row in chosen
    ]
    return _table([name for name in cells[0] if any(cell[name] for cell in cells)], cells)


def fault_table() -> str:
    """Return the fault matrix, both buses side by side."""
    with (FOLDER / "faults.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    by_fault: dict[str, dict[str, dict[str, str]]] = {}
    for row in rows:
        by_fault.setdefault(row["fault"], {})[row["bus"]] = row
    cells = []
    for fault, buses in by_fault.items():
        first = next(iter(buses.values()))
        cells.append(
            {
                "fault": fault,
                "row": first["row"],
                "tasks": first["tasks"],
                "delivered": _both(buses, "delivered"),
                "failed": _both(buses, "failed"),
                "duplicates": _both(buses, "duplicates"),
                "dead letters": _both(buses, "dead_letters"),
                "seconds to recover": _both(buses, "recover_s"),
                "held": _both(buses, "held"),
            }
        )
    return _table(list(cells[0]), cells)


def _both(buses: Mapping[str, Mapping[str, str]], column: str) -> str:
    values = [buses[bus][column] if bus in buses else "–" for bus in ("tansu", "kafka")]
    return values[0] if column != "recover_s" and len(set(values)) == 1 else " / ".join(values)


def _table(columns: Sequence[str], cells: Sequence[Mapping[str, str]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(cell[name] for name in columns) + " |" for cell in cells)])
