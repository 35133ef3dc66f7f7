"""`winnow dlq`: what services dead-lettered, where it came from, and sending it back."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from winnow.cli.errors import CliError, command
from winnow.cli.lazy import group
from winnow.cli.line_access import LineAccess, address
from winnow.cli.options import DATA_DIR, Bootstrap, DataDir, Json

app = group("Dead letters: list them, show one, send them back.")

Topic = Annotated[str, typer.Argument(help="A dead-letter topic, as `winnow dlq list` names it.")]
Partition = Annotated[int, typer.Option("--partition", help="Its partition.")]
Offset = Annotated[int, typer.Option("--offset", help="Its offset in that partition.")]


@app.command("list")
@command
async def list_letters(
    *, bootstrap: Bootstrap = "", data_dir: DataDir = DATA_DIR, as_json: Json = False
) -> None:
    """List the dead letters: where each lies, where it came from and why."""
    from winnow.cli.dead_letters import letters_of, print_letters, summary
    from winnow.contracts.topics import dead_letter_topics

    letters = [letter async for letter in letters_of(_kafka(bootstrap, data_dir), dead_letter_topics())]
    if as_json:
        typer.echo(json.dumps([summary(letter) for letter in letters]))
    else:
        print_letters(letters)


@app.command("show")
@command
async def show(
    topic: Topic,
    *,
    partition: Partition,
    offset: Offset,
    payload: Annotated[bool, typer.Option("--payload", help="Print the payload as well.")] = False,
    bootstrap: Bootstrap = "",
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Show one dead letter: its headers and size, and its payload only when asked."""
    from winnow.audit.records import read_one
    from winnow.cli.dead_letters import at_of, known_topic

    letter = await read_one(_kafka(bootstrap, data_dir), known_topic(topic), partition, offset)
    for name, value in letter.headers:
        typer.echo(f"{name}: {value.decode(errors='replace')}")
    typer.echo(f"key: {(letter.key or b'').decode(errors='replace')}")
    typer.echo(f"set aside at: {at_of(letter)}")
    typer.echo(f"size: {len(letter.body)} bytes")
    if payload:
        typer.echo(letter.body.decode(errors="replace"))


@app.command("replay")
@command
async def replay(
    topic: Topic,
    *,
    partition: Annotated[int, typer.Option("--partition", help="Its partition; with --offset.")] = -1,
    offset: Annotated[int, typer.Option("--offset", help="Its offset.")] = -1,
    everything: Annotated[bool, typer.Option("--all", help="Send every letter of the topic back.")] = False,
    bootstrap: Bootstrap = "",
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Send dead letters back to the topic and partition they came from, byte for byte.

    A letter stays in its topic after that; sending it twice is decided once.
    """
    from winnow.audit.records import read_one, write
    from winnow.cli.dead_letters import known_topic, letters_of, original_of

    kafka = _kafka(bootstrap, data_dir)
    if everything == (offset >= 0):
        raise CliError("Say which letter: --partition and --offset, or --all.")
    if everything:
        letters = [letter async for letter in letters_of(kafka, [known_topic(topic)])]
    else:
        letters = [await read_one(kafka, known_topic(topic), max(partition, 0), offset)]
    originals = [original_of(letter) for letter in letters]
    await write(kafka, originals)
    for letter in originals:
        typer.echo(
            f"sent back to {letter.topic}/{letter.partition}: {letter.header('type')}, {len(letter.body)} bytes"
        )
    typer.echo(f"{len(originals)} letters sent back.")


def _kafka(bootstrap: str, data_dir: DataDir) -> str:
    access = LineAccess.read(data_dir).kafka_bootstrap
    return address(bootstrap, access, "Kafka", "WINNOW_KAFKA_BOOTSTRAP", data_dir)
