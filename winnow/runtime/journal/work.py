"""A piece of the journal's work: records of a partition or a local cause, decided on a draft, and what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic

from winnow.contracts.envelope import Message, Recorded
from winnow.runtime import metrics
from winnow.runtime.journal.model import Cause, S, Source
from winnow.runtime.journal.shard import Draft, ShardMemory


class NotOwner(Exception):  # noqa: N818 (the noun of the problem)
    """Another process owns the shard; what was to be decided is resumed there from its state."""


class ShardHeld(NotOwner):
    """This build cannot read the shard's journal; a newer build, or a later try, resumes it from its state."""


@dataclass(frozen=True, slots=True)
class Decided(Generic[S]):
    """Decision of a local cause; a duplicate returns the recorded decision again."""

    state: S
    recorded: tuple[Recorded[Message], ...]
    duplicate: bool


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


@dataclass(slots=True)
class Work(Generic[S]):
    """Causes of one shard, with the offsets they came at; without a ``source`` the one cause of a caller who waits."""

    shard: str
    items: Sequence[tuple[int, Cause | None]]
    source: Source | None = None
    done: asyncio.Future[tuple[Consumed, asyncio.Future[None] | None, Decided[S] | None]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


def decide_work(
    work: Work[S], draft: Draft[S], memory: ShardMemory[S]
) -> tuple[Consumed, Exception | None, bool]:
    """Decide a work's causes on the draft: how far it got, what a local cause raised, whether it was known."""
    if work.source is not None:
        return _decide_records(work.source, work.items, draft, memory), None, False
    for _, cause in work.items:
        try:
            if cause is not None and not _decide(draft, cause):
                return Consumed(0), None, True
        except Exception as error:  # noqa: BLE001 (given to the caller of submit)
            return Consumed(0), error, False
    return Consumed(0), None, False


def _decide_records(
    source: Source, items: Sequence[tuple[int, Cause | None]], draft: Draft[S], memory: ShardMemory[S]
) -> Consumed:
    first = items[0][0]
    expected = memory.offsets.get(source, first)
    if first > expected and memory.sought.get(source) != expected:
        memory.sought[source] = expected
        return Consumed(expected, seek=True)
    for offset, cause in items:
        if offset < expected or cause is None:
            continue
        try:
            _decide(draft, cause)
        except Exception as error:  # noqa: BLE001 (counted and dead-lettered by the bus)
            draft.offsets[source] = offset
            return Consumed(offset, failed=error)
    draft.offsets[source] = max(expected, items[-1][0] + 1)
    return Consumed(draft.offsets[source])


def _decide(draft: Draft[S], cause: Cause) -> bool:
    """Decide a cause; False when it was decided before."""
    if draft.is_duplicate(cause):
        metrics.JOURNAL_DUPLICATES.inc()
        return False
    draft.decide(cause)
    return True


def refuse(work: Work[S], reason: str, held_for_s: float) -> None:
    """Notify the waiter of a held shard: records are read again later, a local cause raises ShardHeld."""
    if work.done.done():
        return
    if work.source is not None:
        work.done.set_result((Consumed(work.items[0][0], held_for_s=held_for_s), None, None))
    elif work.items:
        work.done.set_exception(ShardHeld(reason))
    else:
        work.done.set_result((Consumed(0), None, None))


def resolve(
    work: Work[S],
    draft: Draft[S],
    consumed: Consumed,
    error: Exception | None,
    sent: asyncio.Future[None] | None,
    *,
    duplicate: bool,
) -> None:
    """Notify the waiter of the work's result, once its block is committed or was not needed."""
    if work.done.done():
        return
    if error is not None:
        work.done.set_exception(error)
        return
    decided = None
    if work.source is None and work.items:
        cause = work.items[0][1]
        if cause is not None:
            recorded = draft.recorded.get(cause.cause_id, ())
            decided = Decided(draft.held(cause.aggregate_id).state, recorded, duplicate)
    work.done.set_result((consumed, sent, decided))
