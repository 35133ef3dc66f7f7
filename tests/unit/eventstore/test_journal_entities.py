"""Entities of an aggregate: read when a decision asks, the same whatever dies when, and no part of the state."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fakes.memory_journal import MemoryBus, MemoryJournalStore
from tests.unit.eventstore.builders import SOURCE, Crash, Mortal, consume_log, own_shard
from tests.unit.eventstore.shelves import SHELVES, folded
from winnow.adapters.partitions import Source
from winnow.eventstore import Input, Journal
from winnow.eventstore.entities import NotLoaded, Overlay
from winnow.runtime.clock import SystemClock


async def _own(store: Any, log: list[Input], batch: int) -> None:
    journal = Journal(SHELVES, store, MemoryBus(), SystemClock(), shards=1)
    await own_shard(journal, log, batch, save_every=3)


LOGS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(1, 6)), min_size=1, max_size=20
)


@settings(max_examples=80, deadline=None)
@given(LOGS, st.integers(1, 5), st.lists(st.integers(1, 60), max_size=4))
def test_entities_are_what_the_journal_says_when_the_owner_dies_at_any_step(
    rows: list[tuple[str, str, int]], batch: int, deaths: list[int]
) -> None:
    log = [
        Input(aggregate, f"c{number}", (name, amount), f"c{number}", str(number))
        for number, (aggregate, name, amount) in enumerate(rows)
    ]
    store = MemoryJournalStore()
    for step in deaths:
        with contextlib.suppress(BaseExceptionGroup, Crash):
            asyncio.run(_own(Mortal(store, [step]), log, batch))
    asyncio.run(_own(store, log, batch))
    held, entities = folded(store)
    assert {name: row.body for name, row in store.kept_entities.items()} == entities
    assert {name: json.loads(row.state)["count"] for name, row in store.kept.items()} == {
        name: row.state.count for name, row in held.items()
    }
    totals: dict[str, int] = {}
    for block in store.chain("0"):
        for decision in block.decisions:
            (entry,) = decision.entries
            event = entry.document()
            key = f"{decision.aggregate_id}/{event['name']}"
            totals[key] = totals.get(key, 0) + event["amount"]
            # What was decided rests on what was read.
            assert event["total"] == totals[key]
    assert {name: json.loads(body)["total"] for name, body in entities.items()} == totals


async def test_saved_entities_leave_memory_and_are_read_once_for_a_batch() -> None:
    store = MemoryJournalStore()
    journal = Journal(SHELVES, store, MemoryBus(), SystemClock(), shards=1)
    running = asyncio.create_task(journal.run())
    log = [Input("a", f"c{number}", (f"n{number}", 1), "c", str(number)) for number in range(40)]
    await consume_log(journal, log, 10, save_every=3)
    assert len(store.kept_entities) == 40
    assert not any(memory.entities for memory in journal._ownership.memories.values())
    assert store.entities_read == 0
    again = [Input("a", f"d{number}", ("n7", 5), "c", str(number)) for number in range(6)]
    await journal.consume("0", SOURCE, [(40 + number, input_) for number, input_ in enumerate(again)])
    await journal.drain()
    assert store.entities_read == 1
    assert json.loads(store.kept_entities["a/n7"].body) == {"total": 31, "puts_count": 7}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_an_entity_that_nobody_asked_for_is_a_fault_and_never_taken_for_absent() -> None:
    with pytest.raises(NotLoaded):
        Overlay(1, {}).finder("a")("x")


async def test_a_shard_whose_states_have_another_format_is_folded_from_its_first_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As after an upgrade: nothing of the new format is there, and the journal is longer than is read at once."""
    monkeypatch.setattr("winnow.eventstore.loading.BLOCKS_AT_ONCE", 3)
    monkeypatch.setattr("winnow.eventstore.loading.UNSAVED_MAX", 4)
    store = MemoryJournalStore()
    log = [
        Input("ab"[number % 2], f"c{number}", (f"n{number % 9}", 1), "c", str(number)) for number in range(30)
    ]
    await _own(store, log, 1)
    fresh = MemoryJournalStore(blocks=store.blocks)
    journal = Journal(SHELVES, fresh, MemoryBus(), SystemClock(), shards=1)
    running = asyncio.create_task(journal.run())
    last = Input("a", "last", ("n0", 1), "c", "last")
    await journal.consume("0", Source("commands", 0), [(30, last)])
    await journal.drain()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    held, entities = folded(fresh)
    assert {key: row.body for key, row in fresh.kept_entities.items()} == entities
    assert held["a"].state.count == 16


async def test_an_entity_that_was_saved_before_its_state_is_not_folded_twice() -> None:
    """As after a kill between the two writes of a save: the entities are ahead of the states and of the mark."""
    store = MemoryJournalStore()
    log = [Input("a", f"c{number}", (f"n{number % 3}", 1), "c", str(number)) for number in range(10)]
    await _own(store, log, 1)
    ahead = MemoryJournalStore(blocks=store.blocks, kept_entities=dict(store.kept_entities))
    await _own(ahead, [*log, Input("a", "last", ("n0", 1), "c", "last")], 4)
    _, entities = folded(ahead)
    assert {key: row.body for key, row in ahead.kept_entities.items()} == entities
    assert json.loads(entities["a/n0"])["total"] == 5
