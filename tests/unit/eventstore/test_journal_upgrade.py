"""Two builds on one journal, in memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.support.clock import SetClock
from tests.support.fakes.memory_journal import MemoryJournalStore
from tests.support.journal_upgrade_suite import (
    NEWER,
    OLDER,
    JournalUpgradeSuite,
    consume,
    held_shards,
    make_input,
    running,
)


class TestMemoryJournalUpgrade(JournalUpgradeSuite):
    @pytest.fixture
    def store(self) -> MemoryJournalStore:
        return MemoryJournalStore()


@dataclass
class _StoppedStore(MemoryJournalStore):
    """Blocks are read only after they are let go, from the moment ``stops`` is set."""

    stops: bool = False
    began: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def blocks_after(self, *args: Any, **kwargs: Any) -> Any:
        if self.stops:
            self.began.set()
            await self.let_go.wait()
        return await super().blocks_after(*args, **kwargs)


_OLDER_RESHAPED = replace(OLDER, state_version=2)
"""The older rules over a state of another shape."""


@pytest.mark.parametrize("aggregate", ["d", "final"], ids=["at its load", "at a state that is folded anew"])
async def test_a_shard_that_is_given_up_while_it_is_read_is_not_held(aggregate: str) -> None:
    """The newer build's states hide its events from a load, but not from a state that is folded anew."""
    before, store = held_shards(), _StoppedStore()
    async with running(NEWER, store) as newer:
        await consume(newer, "0", make_input(0, 20_000, "final"), make_input(1, 0, "final"))
        if aggregate == "d":
            await consume(newer, "0", make_input(2, 0))
        else:
            await newer.save()
    async with running(_OLDER_RESHAPED, store) as older:
        older.assign(["0"])
        if aggregate == "final":
            await consume(older, "0", make_input(2, 10, "new"))
        store.stops = True
        reading = asyncio.create_task(consume(older, "0", make_input(3, 10, aggregate)))
        async with asyncio.timeout(5):
            await store.began.wait()
            older.revoke(["0"])
            store.let_go.set()
            consumed = await reading
        assert consumed.held_for_s > 0
        await older.drain()
        assert older.held_shards() == {}
        assert held_shards() == before


@pytest.mark.parametrize("looks", range(1, 9))
async def test_records_of_a_held_shard_are_never_held_for_no_time(
    looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that is refused for no time at all would count as handled, and be passed over."""
    for name in ("RETRY_FIRST_S", "RETRY_MAX_S"):
        monkeypatch.setattr(f"winnow.eventstore.ownership.{name}", 1.0)
    store = MemoryJournalStore()
    async with running(NEWER, store) as newer:
        await consume(newer, "0", make_input(0, 0))
    async with running(OLDER, store, clock=SetClock(look_s=1.0 / (looks - 0.5))) as older:
        for offset in range(1, 13):
            consumed = await consume(older, "0", make_input(offset, 10))
            assert consumed.next_offset == offset
            assert consumed.held_for_s > 0
