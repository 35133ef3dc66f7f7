"""The names of what is audited: a lane is one shard of a journal or one partition of a topic."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Final

from winnow.contracts.topics import TOPICS

RECORD_TOPICS: Final = tuple(topic.name for topic in TOPICS if topic.archived)
"""The topics that are the record: everything else on the bus is a request, and dies when it was answered."""


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


def shard_in(lane: str) -> str:
    """Return the shard or the partition that a lane is."""
    return lane.split("/", 2)[2]


def text_of(value: bytes) -> str | dict[str, str]:
    """Return a part of a record as text where it is text, else as base64."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def bytes_of(value: str | Mapping[str, str]) -> bytes:
    """Read a part of an archived record back to its bytes; raises KeyError, TypeError and ValueError."""
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"], validate=True)
