"""`winnow calibrate`: limits of a profile from folders of accepted and rejected pictures, as its next version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from winnow.cli.desk import run_job
from winnow.cli.errors import CliError, command
from winnow.cli.options import Json, Reference, reference_options
from winnow.cli.score import number

_PERCENT: Final = 100.0


@command
def calibrate(
    accepted: Annotated[Path, typer.Argument(help="A folder of pictures that people accepted.")],
    rejected: Annotated[Path, typer.Argument(help="A folder of pictures that people rejected.")],
    *,
    profile: Annotated[str, typer.Option(help="The profile whose newest version is taken as the start.")],
    percent: Annotated[
        float, typer.Option(min=0.1, max=50, help="How many percent of good pictures each limit may refuse.")
    ] = 2.0,
    target: Annotated[
        Path | None,
        typer.Option("--out", help="The new file; NAME-VERSION.yaml without. Never written over."),
    ] = None,
    reference: Reference = None,
    as_json: Json = False,
) -> None:
    """Fit the limits of a profile so that each refuses at most 2 % of pictures like the accepted pictures."""
    for folder in (accepted, rejected):
        if not folder.is_dir():
            raise CliError(f"There is no folder {folder}.")
    options = ["--profile", profile, "--share", str(percent / _PERCENT)]
    options += ["--out", str(target)] if target else []
    options += reference_options(reference)
    for line in run_job("calibrate", *options, "--", str(accepted), str(rejected)):
        if as_json:
            typer.echo(json.dumps(line))
        else:
            _print(line)


def _print(line: dict[str, Any]) -> None:
    from rich.table import Table

    from winnow.cli.console import out

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("dimension", "limit before", "after", "tells apart (AUC)"):
        table.add_column(column, no_wrap=True)
    table.add_column("note")
    for measured in line["dimensions"]:
        after = number(measured["after"])
        separation = "-" if measured["separation"] is None else f"{measured['separation']:.2f}"
        changed = f"[bold]{after}[/]" if measured["changed"] else after
        table.add_row(measured["name"], number(measured["before"]), changed, separation, measured["reason"])
    out.print(table)
    good, bad = line["refused_accepted"], line["refused_rejected"]
    out.print(
        f"Of {line['accepted']} accepted pictures {good[0]} were refused before and {good[1]} are now; "
        f"of {line['rejected']} rejected ones {bad[0]} were and {bad[1]} are.",
        soft_wrap=True,
    )
    out.print(f"{line['profile']} is in {line['file']}.", soft_wrap=True)
