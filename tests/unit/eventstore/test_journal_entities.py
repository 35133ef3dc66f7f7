"""Entities of an aggregate: read when a decision asks, the same whatever dies when, and no part of the state."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.memory_journal import MemoryBus, MemoryJournalStore
from tests.unit.eventstore.builders import SOURCE, Crash, Mortal
from winnow.adapters.partitions import Source
from winnow.contracts.decider import Decider, EntityRules, Joined
from winnow.contracts.envelope import Event, Message
from winnow.contracts.topics import route
from winnow.eventstore import Input, Journal
from winnow.eventstore.codec import Cached, Codec
from winnow.eventstore.entities import Find, NotLoaded, Overlay
from winnow.runtime.clock import SystemClock


class Put(Event):
    type: Literal["test.put"] = "test.put"
    version: Literal[1] = 1
    name: str
    amount: int
    total: int


@dataclass(frozen=True, slots=True)
class Crate:
    count: int = 0


@dataclass(frozen=True, slots=True)
class Box:
    total: int
    puts_count: int


def _needed(state: Crate, message: object, found: Mapping[str, Box | None]) -> Iterable[str]:
    """Name the box of the message, and ``->other`` as a second box that is read."""
    del state
    assert isinstance(message, tuple)
    name, amount = message
    yield name
    # Known only once the first is read, as a refund's grants are.
    if found.get(name) and amount == 5:
        yield f"{name}-other"


def _read(event: Event) -> Iterable[str]:
    return (event.name,) if isinstance(event, Put) else ()


def _changed(state: Crate, event: Event, at: datetime, find: Find[Box]) -> Mapping[str, Box]:
    del state, at
    if not isinstance(event, Put):
        return {}
    before = find(event.name) or Box(0, 0)
    return {event.name: Box(before.total + event.amount, before.puts_count + 1)}


def _put(state: Crate, joined: Joined[Box], now: datetime) -> Sequence[Message]:
    del state, now
    name, amount = joined.message
    box = joined.entities[name]
    if box and amount == 5:
        assert f"{name}-other" in joined.entities
    return [Put(name=name, amount=amount, total=amount + (box.total if box else 0))]


SHELVES = Decider(
    producer="shelves",
    state_type=Crate,
    state_version=1,
    private_events=(Put,),
    initial=lambda _: Crate(),
    decide=_put,
    evolve=lambda state, event, _: Crate(state.count + 1) if isinstance(event, Put) else state,
    is_final=lambda state: state.count % 2 == 0,
    entity_rules=EntityRules(Box, _needed, _read, _changed),
)


async def _own(store: Any, log: list[Input], batch: int) -> None:
    journal = Journal(SHELVES, store, MemoryBus(), SystemClock(), shards=1)
    running = asyncio.create_task(journal.run())
    work = asyncio.create_task(_consume(journal, log, batch))
    try:
        await asyncio.wait([running, work], return_when=asyncio.FIRST_COMPLETED)
        for task in (running, work):
            if task.done():
                task.result()
    finally:
        for task in (running, work):
            task.cancel()
        with contextlib.suppress(BaseException):
            await asyncio.gather(running, work, return_exceptions=True)


async def _consume(journal: Journal[Crate], log: list[Input], batch: int) -> None:
    at = 0
    while at < len(log):
        consumed = await journal.consume(
            "0", SOURCE, [(at + index, input_) for index, input_ in enumerate(log[at : at + batch])]
        )
        assert consumed.failed is None
        at = consumed.next_offset
        if at % 3 == 0:
            await journal.save()
    await journal.drain()


def folded(store: MemoryJournalStore) -> tuple[dict[str, Cached[Crate]], dict[str, str]]:
    """Fold the journal from its first block."""
    codec: Codec[Crate] = Codec(SHELVES, route)
    held: dict[str, Cached[Crate]] = {}
    known: dict[str, Any] = {}
    for block in store.chain("0"):
        overlay = Overlay(block.block_no, known, _Absent())
        for decision in block.decisions:
            before = held.get(decision.aggregate_id) or Cached(Crate())
            held[decision.aggregate_id] = codec.fold(before, decision, block.block_no, overlay)
        known |= overlay.changed
    assert codec.entities is not None
    return held, {key: codec.entities.stored(key, "0", value).body for key, value in known.items()}


class _Absent(dict[str, None]):
    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> None:
        return None


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
    await _consume(journal, log, 10)
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
