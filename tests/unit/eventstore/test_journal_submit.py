"""Submitted inputs: the recorded decision is returned again, and a reused id is a conflict."""

from __future__ import annotations

import pytest

from tests.support.fakes.memory_journal import MemoryBus, MemoryJournalStore
from tests.unit.eventstore.builders import SOURCE, make_input, running
from winnow.eventstore import InputReused, NotOwner


async def test_submit_gives_the_recorded_decision_again_for_a_repeat() -> None:
    async with running(MemoryJournalStore(), MemoryBus()) as journal:
        first = await journal.submit(make_input("x", 3), shard="0")
        again = await journal.submit(make_input("x", 3), shard="0")
    assert not first.duplicate
    assert again.duplicate
    assert again.recorded == first.recorded


async def test_submit_raises_conflict_when_the_same_cause_has_another_content() -> None:
    async with running(MemoryJournalStore(), MemoryBus()) as journal:
        await journal.submit(make_input("x", 3), shard="0")
        with pytest.raises(InputReused):
            await journal.submit(make_input("x", 4), shard="0")


async def test_a_record_with_the_same_cause_and_another_content_is_a_conflict() -> None:
    store = MemoryJournalStore()
    async with running(store, MemoryBus()) as journal:
        await journal.consume("0", SOURCE, [(0, make_input("x", 3))])
        consumed = await journal.consume("0", SOURCE, [(1, make_input("x", 4))])
    assert (consumed.next_offset, type(consumed.failed)) == (1, InputReused)


async def test_a_cause_is_unique_over_shards_when_the_store_says_so() -> None:
    store, bus = MemoryJournalStore(everywhere=True), MemoryBus()
    async with running(store, bus, ["h0", "h1"]) as journal:
        first = await journal.submit(make_input("x", 3), shard="h0")
        again = await journal.submit(make_input("x", 3), shard="h1")
    assert again.duplicate
    assert again.recorded == first.recorded
    assert len(store.blocks) == 1


async def test_submit_raises_not_owner_for_a_shard_of_another_process() -> None:
    async with running(MemoryJournalStore(), MemoryBus()) as journal:
        with pytest.raises(NotOwner):
            await journal.submit(make_input("x", 3), shard="1")
