"""The names of what is audited: a lane is one shard of a journal or one partition of a topic."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from winnow.contracts.topics import TOPICS

RECORD_TOPICS: Final = tuple(topic.name for topic in TOPICS if topic.archived)
"""The topics that are the record: everything else on the bus is a request, and dies when it was answered."""


@dataclass(frozen=True, slots=True)
class JournalLocation:
    """Place of a journal: the service's database, and the prefix of its collections."""

    database: str
    prefix: str = ""


JOURNALS: Final = {
    "ledger": JournalLocation("winnow_ledger"),
    "router": JournalLocation("winnow_router"),
    "delivery": JournalLocation("winnow_delivery"),
    "ingest": JournalLocation("winnow_ingest"),
    "ingest-api": JournalLocation("winnow_ingest", "http_"),
}
"""Journal → its place, by the name of its producer; in the order in which a running line can be read.

What a service answers to is read after its answer, so that no answer is found without its question.
"""


KINDS: Final = ("journal", "topic")
"""Beginnings of a lane's name."""


def journal_lane(producer: str, shard: str) -> str:
    """Name the chain of a shard."""
    return f"journal/{producer}/{shard}"


def topic_lane(topic: str, partition: int) -> str:
    """Name the chain of a partition."""
    return f"topic/{topic}/{partition}"


def is_journal(lane: str) -> bool:
    """Return whether the lane is a journal's, not a topic's."""
    return lane.startswith("journal/")


def part_of(lane: str) -> str:
    """Return the journal or the topic that a lane is of."""
    return lane.split("/")[1]


def record_document(
    *,
    offset: int,
    timestamp_ms: int,
    key: bytes | None,
    headers: tuple[tuple[str, bytes], ...],
    body: bytes,
) -> dict[str, Any]:
    """Return a topic's record in the form that is chained and archived: text where it is text, else base64."""
    return {
        "offset": offset,
        "timestamp_ms": timestamp_ms,
        "key": None if key is None else _text(key),
        "headers": [[name, _text(value)] for name, value in headers],
        "body": _text(body),
    }


def _text(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def bytes_of(value: str | Mapping[str, str]) -> bytes:
    """Read a part of an archived record back to its bytes; raises KeyError, TypeError and ValueError."""
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"], validate=True)
