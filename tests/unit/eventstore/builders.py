"""A decider that adds amounts, its journal in memory, and a store that dies."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from tests.support.fakes.memory_journal import MemoryBus, MemoryJournalStore
from winnow.adapters.partitions import Source
from winnow.contracts.decider import Decider, Tick
from winnow.contracts.envelope import Event, Message
from winnow.contracts.events import TaskCancelRequested
from winnow.contracts.ids import Prefix, derive_id
from winnow.eventstore import Input, Journal
from winnow.runtime.clock import SystemClock

SOURCE = Source("commands", 0)


class Added(Event):
    type: Literal["test.added"] = "test.added"
    version: Literal[1] = 1
    amount: int


@dataclass(frozen=True, slots=True)
class Sum:
    total: int = 0
    count: int = 0
    due_at: datetime | None = None


def add(state: Sum, message: object, now: datetime) -> Sequence[Message]:
    """Add an amount; a negative one is a bug, a tick adds a thousand once."""
    if isinstance(message, Tick):
        return [Added(amount=1000)] if state.due_at and state.due_at <= now else []
    assert isinstance(message, int)
    if message == 0:
        return []
    if message < 0:
        raise ValueError
    task = derive_id(Prefix.task, state.count, message)
    return [Added(amount=message), TaskCancelRequested(task_id=task, account_id="acct_a")]


def _added(state: Sum, event: Event, at: datetime) -> Sum:
    if not isinstance(event, Added):
        return state
    due_at = at + timedelta(milliseconds=20) if event.amount == 7 else None
    return Sum(state.total + event.amount, state.count + 1, due_at)


ADDER = Decider(
    producer="adder",
    state_type=Sum,
    state_version=1,
    private_events=(Added,),
    initial=lambda _: Sum(),
    decide=add,
    evolve=_added,
    due_at=lambda state: state.due_at,
    is_final=lambda state: state.total >= 10_000,
)


class Crash(BaseException):
    """The process dies here."""


class Mortal:
    """A store or a bus whose n-th call kills the process, before or after its effect."""

    def __init__(self, inner: Any, steps: list[int]) -> None:
        self._inner = inner
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._inner, name)

        async def guarded(*args: Any, **kwargs: Any) -> Any:
            self._step()
            result = await call(*args, **kwargs)
            self._step()
            return result

        return guarded

    def _step(self) -> None:
        self._steps[0] -= 1
        if self._steps[0] == 0:
            raise Crash


def make_input(name: str, amount: int, aggregate: str = "a") -> Input:
    return Input(aggregate, name, amount, correlation_id=name, fingerprint=str(amount))


@contextlib.asynccontextmanager
async def running(
    store: MemoryJournalStore, bus: MemoryBus, shards: Sequence[str] = ("0",), *, stores_states: bool = True
) -> Any:
    decider = replace(ADDER, stores_states=stores_states)
    journal = Journal(decider, store, bus, SystemClock(), shards=4)
    journal.assign(shards)
    task = asyncio.create_task(journal.run())
    try:
        yield journal
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def own_shard(
    journal: Journal[Any], log: Sequence[Input], batch: int, *, save_every: int | None = None
) -> None:
    """Own shard 0 until the whole log is consumed; a crash of either task is raised."""
    owning = asyncio.create_task(journal.run())
    work = asyncio.create_task(consume_log(journal, log, batch, save_every=save_every))
    try:
        await asyncio.wait([owning, work], return_when=asyncio.FIRST_COMPLETED)
        for task in (owning, work):
            if task.done():
                task.result()
    finally:
        for task in (owning, work):
            task.cancel()
        with contextlib.suppress(BaseException):
            await asyncio.gather(owning, work, return_exceptions=True)


async def consume_log(
    journal: Journal[Any], log: Sequence[Input], batch: int, *, save_every: int | None = None
) -> None:
    """Consume a log in batches; save the states at each offset that ``save_every`` divides."""
    at = 0
    while at < len(log):
        consumed = await journal.consume("0", SOURCE, list(enumerate(log[at : at + batch], at)))
        assert consumed.failed is None
        at = consumed.next_offset
        if save_every and at % save_every == 0:
            await journal.save()
    await journal.drain()
