"""The feed of the view of entries: committed blocks are handed on together, and read back where one is missing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest

from services.ledger import projections
from services.ledger.projections import EntryFeed
from tests.support.clock import SetClock
from tests.support.eventually import eventually
from tests.support.fakes.memory_journal import MemoryBus, MemoryJournalStore
from tests.unit.ledger.builders import START, grant, reserve
from tests.unit.ledger.ledger_journal import SHARD, feed_all, running
from winnow.eventstore import Block


class Seen:
    """A view that notes what it was asked to keep and to read."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.lacking: set[str] = set()
        self.fails = 0

    async def add(self, blocks: Sequence[Block]) -> set[str]:
        await self._step(f"add {','.join(str(block.block_no) for block in blocks)}")
        lacking, self.lacking = self.lacking, set()
        return lacking

    async def catch_up(self, shard: str) -> int:
        await self._step(f"read {shard}")
        return 0

    async def note(self) -> None:
        await self._step("note")

    async def _step(self, step: str) -> None:
        self.steps.append(step)
        await asyncio.sleep(0)
        if self.fails:
            self.fails -= 1
            raise ConnectionError


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projections, "_BACKOFF_FIRST_S", 0.0)
    monkeypatch.setattr(projections, "LINGER_S", 0.02)


@contextlib.asynccontextmanager
async def reading(feed: EntryFeed) -> AsyncIterator[None]:
    task = asyncio.create_task(feed.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def block(block_no: int, shard: str = SHARD) -> Block:
    return Block(shard, block_no, "", {}, (), START)


async def test_a_loaded_shard_is_read_and_what_is_committed_later_is_handed_on() -> None:
    view = Seen()
    feed = EntryFeed(view)
    async with reading(feed), running(MemoryJournalStore(), MemoryBus(), SetClock(START), feed) as journal:
        await feed_all(journal, [grant("a", 9)], 1)
        await eventually(lambda: "add 1" in view.steps)
        await feed_all(journal, [grant("a", 9), reserve("a", 1), reserve("b", 1)], 1)
        await eventually(lambda: "add 2,3" in view.steps)
    assert view.steps == [f"read {SHARD}", "add 1", "add 2,3"]


async def test_blocks_of_a_moment_are_handed_on_together_in_their_order() -> None:
    view = Seen()
    feed = EntryFeed(view)
    async with reading(feed):
        for number in (1, 2, 3):
            feed.committed(block(number))
            await asyncio.sleep(0)
        await eventually(lambda: view.steps)
    assert view.steps == ["add 1,2,3"]


async def test_what_could_not_be_kept_is_read_back() -> None:
    view = Seen()
    view.fails = 2
    feed = EntryFeed(view)
    async with reading(feed):
        feed.committed(block(1))
        await eventually(lambda: len(view.steps) == 3)
    assert view.steps == ["add 1", f"read {SHARD}", f"read {SHARD}"]


async def test_a_shard_that_cannot_be_read_does_not_hold_up_the_others() -> None:
    view = Seen()
    view.fails = 1
    feed = EntryFeed(view)
    feed.loaded("1", {})
    feed.loaded("2", {})
    feed.committed(block(1, "3"))
    async with reading(feed):
        await eventually(lambda: len(view.steps) == 4)
    assert view.steps == ["read 1", "read 2", "add 1", "read 1"]


async def test_a_shard_that_lacks_a_block_is_read_back() -> None:
    view = Seen()
    view.lacking = {SHARD}
    feed = EntryFeed(view)
    async with reading(feed):
        feed.committed(block(7))
        await eventually(lambda: len(view.steps) == 2)
    assert view.steps == ["add 7", f"read {SHARD}"]


async def test_more_blocks_than_fit_in_memory_are_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projections, "WAITING_MAX", 2)
    view = Seen()
    feed = EntryFeed(view)
    for number in (1, 2, 3, 4):
        feed.committed(block(number))
    async with reading(feed):
        await eventually(lambda: len(view.steps) == 2)
    assert view.steps == [f"read {SHARD}", "add 1,2"]


async def test_a_stop_keeps_what_waits_and_notes_how_far_the_view_is() -> None:
    view = Seen()
    feed = EntryFeed(view)
    feed.committed(block(1))
    await feed.drain()
    assert view.steps == ["add 1", "note"]


async def test_a_stop_without_a_database_ends_all_the_same() -> None:
    view = Seen()
    view.fails = 2
    feed = EntryFeed(view)
    feed.committed(block(1))
    await feed.drain()
    assert view.steps == ["add 1", "note"]
