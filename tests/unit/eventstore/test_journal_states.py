"""Cached and saved states: ticks when due, dropped when final, never lost by a save."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.fakes.memory_journal import MemoryBus, MemoryJournalStore
from tests.unit.eventstore.builders import ADDER, SOURCE, Sum, make_input, running
from winnow.eventstore import Journal
from winnow.runtime.clock import SystemClock


async def test_a_due_aggregate_gets_its_tick_once() -> None:
    store = MemoryJournalStore()
    async with running(store, MemoryBus()) as journal:
        await journal.submit(make_input("a", 7), shard="0")
        async with asyncio.timeout(5):
            while journal.state("a") != Sum(1007, 2, None):
                await asyncio.sleep(0.005)
    assert len(store.chain("0")) == 2


async def test_a_final_aggregate_leaves_memory_and_comes_back() -> None:
    store = MemoryJournalStore()
    async with running(store, MemoryBus()) as journal:
        await journal.submit(make_input("a", 20_000), shard="0")
        await journal.save()
        assert journal.state("a") is None
        again = await journal.submit(make_input("b", 1), shard="0")
    assert again.state.total == 20_001


async def test_a_machine_whose_states_nobody_reads_keeps_none_and_still_decides_once() -> None:
    store, bus = MemoryJournalStore(), MemoryBus()
    async with running(store, bus, stores_states=False) as journal:
        first = await journal.submit(make_input("a", 20_000), shard="0")
        await journal.save()
        assert journal.state("a") is None
        assert store.kept == {}
        assert await store.folded_to("0") == 1
    async with running(store, bus, stores_states=False) as journal:
        again = await journal.submit(make_input("a", 20_000), shard="0")
    assert again.duplicate
    assert again.recorded == first.recorded


@dataclass
class _SlowStore(MemoryJournalStore):
    """The first save waits, and fails where it is let go."""

    began: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def save(self, *args: Any, **kwargs: Any) -> None:
        if not self.began.is_set():
            self.began.set()
            await self.let_go.wait()
            raise ConnectionError
        await super().save(*args, **kwargs)


@pytest.mark.parametrize("end", ["fails", "is cancelled"])
async def test_a_save_that_ends_badly_while_another_begins_loses_no_committed_state(end: str) -> None:
    store, bus = _SlowStore(), MemoryBus()
    journal = Journal(ADDER, store, bus, SystemClock(), shards=4, save_every_s=3600)
    writing = asyncio.create_task(journal.run())
    async with asyncio.timeout(5):
        await journal.consume("0", SOURCE, [(0, make_input("x", 1, "a"))])
        saving = asyncio.create_task(journal.save())
        await store.began.wait()
        await journal.consume("0", SOURCE, [(1, make_input("y", 2, "b"))])
        draining = asyncio.create_task(journal.drain())
        await asyncio.wait([draining], timeout=0.05)
        if end == "fails":
            store.let_go.set()
        else:
            saving.cancel()
        (raised,) = await asyncio.gather(saving, return_exceptions=True)
        assert isinstance(raised, ConnectionError | asyncio.CancelledError)
        await draining
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)

    assert await store.folded_to("0") == 2
    async with running(store, bus) as later:
        assert await later.read_state("a") == Sum(1, 1)
        assert (await later.submit(make_input("z", 3, "a"), shard="0")).state == Sum(4, 2)
        assert later.state("b") == Sum(2, 1)


async def test_a_save_that_is_cancelled_while_it_waits_leaves_its_states_to_the_next() -> None:
    store = _SlowStore()
    async with running(store, MemoryBus()) as journal:
        await journal.submit(make_input("x", 1), shard="0")
        first = asyncio.create_task(journal.save())
        await store.began.wait()
        await journal.submit(make_input("y", 2, "b"), shard="0")
        waiting = asyncio.create_task(journal.save())
        await asyncio.sleep(0)
        waiting.cancel()
        store.let_go.set()
        await asyncio.gather(first, waiting, return_exceptions=True)
        assert store.kept == {}
        await journal.save()
        assert store.kept.keys() == {"a", "b"}
