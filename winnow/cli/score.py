"""`winnow score`: what the scorer finds in pictures on this machine, as a table and as an annotated picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from winnow.cli.desk import run_job
from winnow.cli.errors import CliError, command
from winnow.cli.options import Json, Reference, reference_options

REJECTED: Final = 3
"""Exit status when every picture was scored and at least one did not pass."""
_WIDTH_FOR_UNITS: Final = 120
_STATUSES: Final = {
    "failure_to_assess": "not assessed",
    "not_applicable": "not asked",
    "unavailable": "unavailable",
}
_LIMIT_SIGNS: Final = {"at least": "≥", "at most": "≤", "exactly": "="}


@command
def score(
    images: Annotated[list[Path], typer.Argument(help="Pictures: JPEG, PNG or WebP.")],
    *,
    profile: Annotated[
        str, typer.Option(help="A profile's name, name@version, or a profile file (.yaml).")
    ] = "general",
    copy_text: Annotated[
        str, typer.Option("--copy", help="Words the pictures must show; \\n begins a line.")
    ] = "",
    brand_colours: Annotated[
        list[str] | None,
        typer.Option("--brand-colour", help="A colour they must show, like #1b4d3e; may be repeated."),
    ] = None,
    annotated: Annotated[
        Path | None,
        typer.Option(help="Write the annotated picture here (PNG); with several pictures, a directory."),
    ] = None,
    reference: Reference = None,
    as_json: Json = False,
) -> None:
    """Score pictures with the scorer's own measures; exits with 3 when one does not pass."""
    missing = [image for image in images if not image.is_file()]
    if missing:
        raise CliError(f"There is no file {missing[0]}.")
    rejected = 0
    shapes = ["--shapes"] if annotated else []
    arguments = [
        f"--copy={copy_text}",
        *(f"--brand-colour={brand_colour}" for brand_colour in brand_colours or []),
    ]
    arguments += [*shapes, *reference_options(reference)]
    for line in run_job("score", "--profile", profile, *arguments, "--", *(str(image) for image in images)):
        rejected += not line["passed"]
        if annotated:
            target = _target(annotated, line["image"], several=len(images) > 1)
            from winnow.cli.annotate import annotate

            drawn = annotate(Path(line["image"]).read_bytes(), line)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(drawn)
            line["annotated"] = str(target)
        if as_json:
            typer.echo(json.dumps(line))
        else:
            _print(line)
    if rejected:
        raise typer.Exit(REJECTED)


def _target(annotated: Path, image: str, *, several: bool) -> Path:
    return annotated / f"{Path(image).stem}.annotated.png" if several or annotated.is_dir() else annotated


def _print(line: dict[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from winnow.cli.console import out

    verdict = "[bold green]passes[/]" if line["passed"] else "[bold red]does not pass[/]"
    size = f"{line['width']} x {line['height']}" if line["width"] else "not decoded"
    title = (
        f"[bold]{escape(line['image'])}[/] ({size}) {verdict} {line['profile']}, score {line['score']:.1f}"
    )
    out.print(f"\n{title}", soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("tier", "dimension", "value", "limit", "score", "at least", "verdict"):
        justify: Any = "right" if column in ("value", "score", "at least") else "left"
        table.add_column(column, justify=justify, no_wrap=True)
    if out.width >= _WIDTH_FOR_UNITS:
        table.add_column("unit", style="dim", no_wrap=True)
    for measured in line["dimensions"]:
        table.add_row(
            str(measured["tier"]),
            measured["name"],
            number(measured["raw"]),
            limit_of(measured),
            "-" if measured["score"] is None else f"{measured['score']:.0f}",
            f"{measured['threshold']:.0f}",
            _verdict(measured),
            *([escape(measured["unit"])] if out.width >= _WIDTH_FOR_UNITS else []),
        )
    out.print(table)
    missed = [measured for measured in line["dimensions"] if not measured["passed"]]
    # What does not decode fails everywhere; once is enough to say it.
    for dimension in missed if line["width"] else missed[:1]:
        colour = "red" if dimension["required"] else "yellow"
        out.print(f"[{colour}]{dimension['name']}[/]: {escape(sentence(dimension))}", soft_wrap=True)
    if "annotated" in line:
        out.print(f"annotated: {line['annotated']}", soft_wrap=True)


def number(raw: float | None) -> str:
    """Write a measured value with four significant digits; a dash for none."""
    return "-" if raw is None else f"{raw:.4g}"


def limit_of(dimension: dict[str, Any]) -> str:
    """Write the limit of a dimension, as in ``≥ 0.6``; nothing for a rule."""
    return (
        ""
        if dimension["limit"] is None
        else f"{_LIMIT_SIGNS[dimension['limit_is']]} {number(dimension['limit'])}"
    )


def sentence(dimension: dict[str, Any]) -> str:
    """Return why a dimension did not pass."""
    if dimension["status"] != "ok":
        return f"{_STATUSES[dimension['status']]}: {dimension['reason']}"
    if dimension["limit"] is None or "reason" in dimension["evidence"]:
        return str(dimension["reason"])
    return f"{number(dimension['raw'])} {dimension['unit']}, {dimension['limit_is']} {number(dimension['limit'])} is needed"


def _verdict(dimension: dict[str, Any]) -> str:
    if dimension["passed"]:
        return "[green]pass[/]"
    if dimension["status"] != "ok":
        return f"[yellow]{_STATUSES[dimension['status']]}[/]"
    return "[red]fail[/]" if dimension["required"] else "[yellow]fail, optional[/]"
