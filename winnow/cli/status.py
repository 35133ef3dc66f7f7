"""`winnow status`: every process of the line on this machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from winnow.cli.errors import CliError, command
from winnow.cli.options import DATA_DIR, DataDir, Json

if TYPE_CHECKING:
    from winnow.cli.line_state import ProcessStatus

NOT_RUNNING: Final = 3
"""The exit status when no line runs, as service managers have it."""
_COLOURS: Final = {"ready": "green", "starting": "yellow", "restarting": "yellow"}


@command
def status(
    *,
    api: Annotated[
        bool, typer.Option("--api", help="Print the address of the public API alone, for scripts.")
    ] = False,
    data_dir: DataDir = DATA_DIR,
    as_json: Json = False,
) -> None:
    """Show every process of the line on this machine: its address, its state, its process id and its restarts.

    Leaves with 0 when all are ready, 1 when one is not, 3 when no line runs.
    """
    from winnow.cli.line_access import LineAccess
    from winnow.cli.line_state import process_statuses, read_record

    record = read_record(data_dir)
    if not record.is_live:
        raise CliError(
            f"No line runs on {data_dir}.",
            hint="Start one with `winnow up`, or name its --data-dir.",
            exit_status=NOT_RUNNING,
        )
    statuses = process_statuses(record, LineAccess.read(data_dir))
    url = next(
        (
            process_status.address
            for process_status in statuses
            if process_status.name == "ingest" and process_status.is_ready
        ),
        "",
    )
    if api:
        if not url:
            raise CliError("The public API is not ready.", hint="`winnow logs ingest` shows why.")
        typer.echo(url)
        return
    if as_json:
        processes = [process_status.document() for process_status in statuses]
        typer.echo(
            json.dumps({"pid": record.pid, "data_dir": str(data_dir), "api": url, "processes": processes})
        )
    else:
        _print(record.pid, data_dir, statuses)
    if not statuses or not all(process_status.is_ready for process_status in statuses):
        raise typer.Exit(1)


def _print(pid: int, data_dir: Path, statuses: Sequence[ProcessStatus]) -> None:
    typer.echo(f"The line on {data_dir} runs as process {pid}.\n")
    names = max((len(process_status.name) for process_status in statuses), default=0)
    addresses = max((len(process_status.address) for process_status in statuses), default=0)
    for process_status in statuses:
        typer.echo(
            f"{process_status.name:<{names}}  {process_status.kind:<9}  {process_status.address:<{addresses}}  ",
            nl=False,
        )
        typer.secho(f"{process_status.state:<10}", fg=_COLOURS.get(process_status.state, "red"), nl=False)
        restarts = (
            f"  {process_status.restarts} restart{'' if process_status.restarts == 1 else 's'}"
            if process_status.restarts
            else ""
        )
        typer.echo(f"  {f'pid {process_status.pid}' if process_status.pid else 'not running'}{restarts}")
