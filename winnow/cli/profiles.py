"""`winnow profiles`: the quality profiles there are, and whether a file is one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from winnow.cli.desk import run_job
from winnow.cli.errors import CliError, command
from winnow.cli.lazy import group
from winnow.cli.options import Json

app = group("Quality profiles: list, check a file.")


@app.command("check")
@command
def check(
    files: Annotated[list[Path], typer.Argument(help="Profile files, YAML.")],
    *,
    as_json: Json = False,
) -> None:
    """Check profile files as the scorer does when it loads them: names, types of rules, limits."""
    wrong = 0
    for line in run_job("check", "--", *(str(file) for file in files)):
        wrong += not line["valid"]
        if as_json:
            typer.echo(json.dumps(line))
        elif line["valid"]:
            counts = f"{line['dimensions']} dimensions, {line['rules']} rules"
            typer.secho("valid", fg="green", nl=False)
            typer.echo(f" {line['file']}: {line['name']}@{line['version']}, {counts}")
        else:
            typer.secho("wrong", fg="red", nl=False)
            typer.echo(f" {line['problem']}")
    if wrong:
        raise CliError(f"{wrong} of {len(files)} profiles cannot be used.")


@app.command("list")
@command
def listed(*, as_json: Json = False) -> None:
    """List every profile version that comes with the scorer."""
    lines = list(run_job("profiles"))
    if as_json:
        typer.echo(json.dumps(lines))
        return
    from rich.table import Table

    from winnow.cli.console import out

    table = Table("profile", "version", "sha256")
    for line in lines:
        table.add_row(line["name"], str(line["version"]), line["sha256"][:12])
    out.print(table)
