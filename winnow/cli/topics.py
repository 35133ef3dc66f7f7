"""`winnow topics`: makes the topics of a deployment."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from winnow.cli.errors import command
from winnow.cli.lazy import group
from winnow.cli.line_access import LineAccess, address
from winnow.cli.options import DATA_DIR, Bootstrap, DataDir

_KAFKA_WITHIN_S: Final = 20.0

app = group("The topics of a deployment.")


@app.callback()
def topics() -> None:
    """Manage the topics of a deployment."""


@app.command("apply")
@command
async def apply(
    *,
    bootstrap: Bootstrap = "",
    shards: Annotated[
        int,
        typer.Option(min=1, max=1024, help="Partitions of every topic; fixed when a deployment is created."),
    ] = 16,
    replicas: Annotated[int, typer.Option(min=1, max=9, help="Copies of every partition.")] = 3,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Create every topic that is missing and check those that are there; doing it again changes nothing."""
    from winnow.adapters.topics import apply_topics
    from winnow.cli.console import err

    access = LineAccess.read(data_dir).kafka_bootstrap
    kafka = address(bootstrap, access, "Kafka", "WINNOW_KAFKA_BOOTSTRAP", data_dir)
    with err.status(f"Asking Kafka at {kafka} ..."):
        made = await apply_topics(kafka, shards=shards, replicas=replicas, within_s=_KAFKA_WITHIN_S)
    for name in made:
        typer.echo(f"created {name} with {shards} partitions")
    typer.echo(f"{len(made)} topics created; every topic is there with {shards} partitions.")
