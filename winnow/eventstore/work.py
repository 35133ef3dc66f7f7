"""A piece of the journal's work: records of a partition or a local input, decided on a unit of work, and what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic

from winnow.adapters.partitions import Consumed, Source
from winnow.contracts.envelope import Message, RecordedMessage
from winnow.eventstore.model import Input, S
from winnow.eventstore.shard import ShardMemory, UnitOfWork
from winnow.runtime import metrics


class NotOwner(Exception):  # noqa: N818 (the noun of the problem)
    """Another process owns the shard; what was to be decided is resumed there from its state."""


class ShardHeld(NotOwner):
    """This build cannot read the shard's journal; a newer build, or a later try, resumes it from its state."""


@dataclass(frozen=True, slots=True)
class Decided(Generic[S]):
    """Decision of a local input; a duplicate returns the recorded decision again."""

    state: S
    recorded: tuple[RecordedMessage[Message], ...]
    duplicate: bool


@dataclass(slots=True)
class Work(Generic[S]):
    """Inputs of one shard, with the offsets they came at; without a ``source`` the one input of a caller who waits."""

    shard: str
    items: Sequence[tuple[int, Input | None]]
    source: Source | None = None
    done: asyncio.Future[tuple[Consumed, asyncio.Future[None] | None, Decided[S] | None]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


def decide_work(
    work: Work[S], unit: UnitOfWork[S], memory: ShardMemory[S]
) -> tuple[Consumed, Exception | None, bool]:
    """Decide a work's inputs on the unit of work: how far it got, what a local input raised, whether it was known."""
    if work.source is not None:
        return _decide_records(work.source, work.items, unit, memory), None, False
    for _, input_ in work.items:
        try:
            if input_ is not None and not _decide(unit, input_):
                return Consumed(0), None, True
        except Exception as error:  # noqa: BLE001 (given to the caller of submit)
            return Consumed(0), error, False
    return Consumed(0), None, False


def _decide_records(
    source: Source, items: Sequence[tuple[int, Input | None]], unit: UnitOfWork[S], memory: ShardMemory[S]
) -> Consumed:
    first = items[0][0]
    expected = memory.offsets.get(source, first)
    if first > expected and memory.sought.get(source) != expected:
        memory.sought[source] = expected
        return Consumed(expected, seek=True)
    for offset, input_ in items:
        if offset < expected or input_ is None:
            continue
        try:
            _decide(unit, input_)
        except Exception as error:  # noqa: BLE001 (counted and dead-lettered by the bus)
            unit.offsets[source] = offset
            return Consumed(offset, failed=error)
    unit.offsets[source] = max(expected, items[-1][0] + 1)
    return Consumed(unit.offsets[source])


def _decide(unit: UnitOfWork[S], input_: Input) -> bool:
    """Decide an input; False when it was decided before."""
    if unit.is_duplicate(input_):
        metrics.JOURNAL_DUPLICATES.inc()
        return False
    unit.decide(input_)
    return True


def refuse(work: Work[S], reason: str, held_for_s: float) -> None:
    """Notify the waiter of a held shard: records are read again later, a local input raises ShardHeld."""
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
    unit: UnitOfWork[S],
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
        input_ = work.items[0][1]
        if input_ is not None:
            recorded = unit.recorded.get(input_.input_id, ())
            decided = Decided(unit.cached(input_.aggregate_id).state, recorded, duplicate)
    work.done.set_result((consumed, sent, decided))
