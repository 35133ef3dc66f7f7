"""Published entries: sent in order, and marked as sent once the bus has acknowledged them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.support.fakes.memory_journal import MemoryBus, MemoryJournalStore
from tests.unit.eventstore.builders import SOURCE, make_input, running


async def test_nothing_counts_as_sent_before_the_bus_has_acknowledged_it() -> None:
    acknowledged: list[asyncio.Future[object]] = []

    class SlowBus(MemoryBus):
        async def send(self, *args: Any, **kwargs: Any) -> asyncio.Future[object]:
            _ = await super().send(*args, **kwargs)
            acknowledged.append(asyncio.get_running_loop().create_future())
            return acknowledged[-1]

    async with running(MemoryJournalStore(), SlowBus()) as journal:
        consuming = asyncio.create_task(journal.consume("0", SOURCE, [(0, make_input("a", 1))]))
        while not acknowledged:
            await asyncio.sleep(0)
        for _ in range(50):
            await asyncio.sleep(0)
        assert not consuming.done()
        acknowledged[0].set_result(None)
        assert (await consuming).next_offset == 1


async def test_a_bus_that_fails_only_delays_and_keeps_the_order() -> None:
    store, bus = MemoryJournalStore(), MemoryBus(fail_next=2)
    async with running(store, bus) as journal:
        await journal.consume("0", SOURCE, [(0, make_input("a", 1)), (1, make_input("b", 2))])
        assert [json.loads(body)["causation_id"] for *_, body in bus.messages] == ["a", "b"]
        await journal.drain()
        assert store.marks == {"0": 1}


async def test_blocks_are_marked_together_and_at_once_when_a_shard_is_given_up() -> None:
    store, bus = MemoryJournalStore(), MemoryBus()
    async with running(store, bus) as journal:
        for offset in range(5):
            await journal.consume("0", SOURCE, [(offset, make_input(f"c{offset}", 1))])
        assert len(bus.messages) == 5
        assert store.marks == {}
        journal.revoke(["0"])
        async with asyncio.timeout(0.4):
            while store.marks != {"0": 5}:
                await asyncio.sleep(0.001)
