"""Dead letters as records: where they came from, what a list says of them, and their way back."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Final

from rich.table import Table

from winnow.audit.records import TopicReader, TopicRecord, connected_consumer
from winnow.cli.console import out
from winnow.cli.errors import CliError
from winnow.contracts.topics import TOPICS, dead_letter_topics

_PREFIX: Final = "dlq-"


def print_letters(letters: Sequence[TopicRecord]) -> None:
    """Print a table of letters, and how many topics hold any."""
    table = Table(title="Dead letters", title_justify="left")
    for name in ("topic", "place", "type", "came from", "reason", "error", "size"):
        table.add_column(name, overflow="fold")
    for letter in letters:
        table.add_row(*row(letter))
    counts = Counter(letter.topic for letter in letters)
    if letters:
        out.print(table)
    out.print(f"{len(letters)} dead letters in {len(counts)} of {len(dead_letter_topics())} topics.")


def original_of(letter: TopicRecord) -> TopicRecord:
    """Return the dead-lettered record as its producer wrote it; raises CliError for a missing source."""
    topic, partition = letter.header("dlq-topic"), letter.header("dlq-partition")
    if topic not in {known.name for known in TOPICS} or not partition.isdecimal():
        raise CliError(
            f"The letter at {letter.topic}/{letter.partition}/{letter.offset} does not say its source."
        )
    return TopicRecord(
        topic=topic,
        partition=int(partition),
        offset=-1,
        timestamp_ms=letter.timestamp_ms,
        key=letter.key,
        body=letter.body,
        headers=tuple((name, value) for name, value in letter.headers if not name.startswith(_PREFIX)),
    )


def summary(letter: TopicRecord) -> dict[str, str | int]:
    """Return what a list says of a letter: never its payload."""
    return {
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "type": letter.header("type"),
        "source": "/".join(letter.header(f"dlq-{part}") for part in ("topic", "partition", "offset")),
        "reason": letter.header("dlq-reason"),
        "error": letter.header("dlq-error"),
        "size_bytes": len(letter.body),
        "set_aside_at": at_of(letter),
    }


def row(letter: TopicRecord) -> list[str]:
    """Return a letter's line in the table."""
    known = summary(letter)
    places = (f"{letter.partition}/{letter.offset}", str(known["source"]).partition("/")[2])
    reason = (str(known["reason"]), str(known["error"]), f"{len(letter.body)} B")
    return [str(known["topic"]), places[0], str(known["type"]), places[1], *reason]


async def letters_of(bootstrap: str, topics: Sequence[str]) -> AsyncIterator[TopicRecord]:
    """Yield every record of these topics as they are now."""
    async with connected_consumer(bootstrap) as consumer:
        those = TopicReader(consumer, topics)
        await those.begin()
        async for record in those.read_on():
            yield record


def known_topic(topic: str) -> str:
    """Return the topic; raises CliError unless it is a dead-letter topic."""
    if topic not in dead_letter_topics():
        raise CliError(f"{topic} is no dead-letter topic; known are: {', '.join(dead_letter_topics())}.")
    return topic


def at_of(letter: TopicRecord) -> str:
    """Return when a letter was set aside, as text."""
    return datetime.fromtimestamp(letter.timestamp_ms / 1000, UTC).isoformat(timespec="seconds")
