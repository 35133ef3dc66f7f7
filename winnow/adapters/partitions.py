"""A partition of the bus, how far a batch of it has come, and the way to send to it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """A partition that inputs come from."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Consumed:
    """Progress of a batch of a partition.

    ``next_offset`` is what may be committed, or where to seek. ``failed`` is set when the record at
    ``next_offset`` raised; ``seek`` when the journal stands before the batch. ``held_for_s`` is how long to leave the
    partition alone when its shard is held.
    """

    next_offset: int
    failed: BaseException | None = None
    seek: bool = False
    held_for_s: float = 0.0


class Publisher(Protocol):
    """The bus, for sending."""

    async def send(
        self, topic: str, partition: int, key: str, body: bytes, headers: dict[str, str]
    ) -> asyncio.Future[object]:
        """Hand a message over; the future ends when the bus has acknowledged it. Raises when it cannot."""
        ...
