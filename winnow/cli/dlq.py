"""`winnow dlq`: what services put aside, where it came from, and sending it back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Final

import typer
from rich.table import Table

from winnow.audit.records import Kept, Reading, read_one, reading, write
from winnow.cli.options import DATA_DIR, Bootstrap, DataDir, Json
from winnow.cli.place import Place, address
from winnow.cli.trouble import Trouble, command, out
from winnow.contracts.topics import TOPICS, dead_letter_topics

app = typer.Typer(no_args_is_help=True, help="Dead letters: list them, show one, send them back.")
_PREFIX: Final = "dlq-"

Topic = Annotated[str, typer.Argument(help="A dead-letter topic, as `winnow dlq list` names it.")]
Partition = Annotated[int, typer.Option("--partition", help="Its partition.")]
Offset = Annotated[int, typer.Option("--offset", help="Its offset in that partition.")]


@app.command("list")
@command
async def list_letters(
    *, bootstrap: Bootstrap = "", data_dir: DataDir = DATA_DIR, as_json: Json = False
) -> None:
    """List the dead letters: where each lies, where it came from and why."""
    letters = [one async for one in _letters(_kafka(bootstrap, data_dir), dead_letter_topics())]
    if as_json:
        out.print_json(json.dumps([summary(one) for one in letters]))
        return
    table = Table(title="Dead letters", title_justify="left")
    for name in ("topic", "place", "type", "came from", "reason", "error", "size"):
        table.add_column(name, overflow="fold")
    for one in letters:
        table.add_row(*row(one))
    counts = Counter(one.topic for one in letters)
    if letters:
        out.print(table)
    out.print(f"{len(letters)} dead letters in {len(counts)} of {len(dead_letter_topics())} topics.")


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
    letter = await read_one(_kafka(bootstrap, data_dir), _known(topic), partition, offset)
    for name, value in letter.headers:
        out.print(f"{name}: {value.decode(errors='replace')}", markup=False)
    out.print(f"key: {(letter.key or b'').decode(errors='replace')}", markup=False)
    out.print(f"set aside at: {_at(letter)}", markup=False)
    out.print(f"size: {len(letter.body)} bytes", markup=False)
    if payload:
        out.print(letter.body.decode(errors="replace"), markup=False, soft_wrap=True)


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
    kafka = _kafka(bootstrap, data_dir)
    if everything == (offset >= 0):
        raise Trouble("Say which letter: --partition and --offset, or --all.")
    if everything:
        letters = [one async for one in _letters(kafka, [_known(topic)])]
    else:
        letters = [await read_one(kafka, _known(topic), max(partition, 0), offset)]
    originals = [original_of(one) for one in letters]
    await write(kafka, originals)
    for one in originals:
        out.print(f"sent back to {one.topic}/{one.partition}: {one.header('type')}, {len(one.body)} bytes")
    out.print(f"{len(originals)} letters sent back.")


def original_of(letter: Kept) -> Kept:
    """Give the record that was put aside, as its producer wrote it; raises Trouble for one without a source."""
    topic, partition = letter.header("dlq-topic"), letter.header("dlq-partition")
    if topic not in {one.name for one in TOPICS} or not partition.isdecimal():
        raise Trouble(
            f"The letter at {letter.topic}/{letter.partition}/{letter.offset} does not say its source."
        )
    return Kept(
        topic=topic,
        partition=int(partition),
        offset=-1,
        timestamp_ms=letter.timestamp_ms,
        key=letter.key,
        body=letter.body,
        headers=tuple((name, value) for name, value in letter.headers if not name.startswith(_PREFIX)),
    )


def summary(letter: Kept) -> dict[str, str | int]:
    """Give what a list says of a letter: never its payload."""
    return {
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "type": letter.header("type"),
        "source": "/".join(letter.header(f"dlq-{one}") for one in ("topic", "partition", "offset")),
        "reason": letter.header("dlq-reason"),
        "error": letter.header("dlq-error"),
        "size_bytes": len(letter.body),
        "set_aside_at": _at(letter),
    }


def row(letter: Kept) -> list[str]:
    """Give a letter's line in the table."""
    known = summary(letter)
    places = (f"{letter.partition}/{letter.offset}", str(known["source"]).partition("/")[2])
    reason = (str(known["reason"]), str(known["error"]), f"{len(letter.body)} B")
    return [str(known["topic"]), places[0], str(known["type"]), places[1], *reason]


async def _letters(bootstrap: str, topics: Sequence[str]) -> AsyncIterator[Kept]:
    async with reading(bootstrap) as consumer:
        those = Reading(consumer, topics)
        await those.begin()
        async for one in those.read_on():
            yield one


def _kafka(bootstrap: str, data_dir: DataDir) -> str:
    kept = Place.read(data_dir).kafka_bootstrap
    return address(bootstrap, kept, "Kafka", "WINNOW_KAFKA_BOOTSTRAP", data_dir)


def _known(topic: str) -> str:
    if topic not in dead_letter_topics():
        raise Trouble(f"{topic} is no dead-letter topic; known are: {', '.join(dead_letter_topics())}.")
    return topic


def _at(letter: Kept) -> str:
    return datetime.fromtimestamp(letter.timestamp_ms / 1000, UTC).isoformat(timespec="seconds")
