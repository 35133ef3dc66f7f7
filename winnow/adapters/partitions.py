"""A partition of the bus, and how far a batch of it has come."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
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
