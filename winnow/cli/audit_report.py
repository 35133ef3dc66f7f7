"""Report of an audit: the chains that it read, and the faults that it found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.table import Table

from winnow.audit.finding import Finding
from winnow.audit.verify import Result
from winnow.cli.console import out

_SHOWN_MAX: Final = 50


def print_result(result: Result) -> None:
    """Print what an audit read and found."""
    table = Table("lane", "items", "events", "first", "last", "head", title=f"Audit from {result.source}")
    for lane in result.lanes:
        numbers = (lane.items_count, lane.events_count, lane.head.first, lane.head.last)
        table.add_row(lane.lane, *map(str, numbers), lane.head.hash[:16])
    out.print(table)
    out.print(", ".join(f"{count} {name}" for name, count in result.counts.items()))
    for note in result.notes:
        out.print(f"[yellow]Not checked:[/] {note}.")
    if result.findings:
        print_findings(result.findings)
        out.print(f"The audit found {len(result.findings)} faults.")
    elif result.exit_code == 0:
        out.print("[bold green]It is sound.[/]")
    elif not result.lanes:
        out.print("There is nothing to check.")


def print_findings(findings: Sequence[Finding]) -> None:
    """Print the first faults."""
    faults = Table("check", "about", "what is wrong")
    for finding in findings[:_SHOWN_MAX]:
        faults.add_row(finding.check, finding.subject, finding.text)
    out.print(faults)
    if len(findings) > _SHOWN_MAX:
        out.print(f"... and {len(findings) - _SHOWN_MAX} more.")
