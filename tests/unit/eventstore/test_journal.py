"""The journal's promise: every input is decided once and published at least once, whatever dies when."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.chain import verify_chain
from tests.support.fakes.memory_journal import MemoryBus, MemoryJournalStore
from tests.unit.eventstore.builders import ADDER, Crash, Mortal, make_input, own_shard, running
from winnow.eventstore import Input, Journal
from winnow.runtime.clock import SystemClock


async def _own(store: Any, bus: Any, log: list[Input], batch: int) -> None:
    await own_shard(Journal(ADDER, store, bus, SystemClock(), shards=4), log, batch)


def _crash_once(store: MemoryJournalStore, bus: MemoryBus, log: list[Input], batch: int, step: int) -> None:
    steps = [step]
    try:
        asyncio.run(_own(Mortal(store, steps), Mortal(bus, steps), log, batch))
    except BaseExceptionGroup as group:
        assert group.subgroup(Crash) is not None
    except Crash:
        pass


def _check(store: MemoryJournalStore, bus: MemoryBus, log: list[Input]) -> None:
    chain = store.chain("0")
    assert verify_chain(chain) is None
    decided = [decision for block in chain for decision in block.decisions]
    expected = {logged.input_id for logged in log if logged.message}
    assert sorted(decision.input_id for decision in decided) == sorted(expected)
    published = [json.loads(body)["event_id"] for _, _, _, body in bus.messages]
    recorded = [
        entry.document()["event_id"] for decision in decided for entry in decision.entries if entry.topic
    ]
    assert list(dict.fromkeys(published)) == recorded
    for aggregate in {logged.aggregate_id for logged in log}:
        amounts = {logged.input_id: logged.message for logged in log if logged.aggregate_id == aggregate}
        total = sum(amount for amount in amounts.values() if isinstance(amount, int))
        kept = store.kept.get(aggregate)
        assert (json.loads(kept.state)["total"] if kept else 0) == total
        seqs = [decision.seq for decision in decided if decision.aggregate_id == aggregate]
        assert seqs == list(range(1, len(seqs) + 1))


LOGS = st.lists(st.tuples(st.integers(0, 12), st.sampled_from("abc")), min_size=1, max_size=25).map(
    lambda rows: [
        make_input(f"c{number}", number % 7, aggregate=f"{letter}{number % 3}") for number, letter in rows
    ]
)
"""Logs with repeats: the same number is the same input, and must be for the same aggregate."""


def _consistent(log: list[Input]) -> list[Input]:
    first: dict[str, Input] = {}
    return [first.setdefault(message.input_id, message) for message in log]


@settings(max_examples=60, deadline=None)
@given(LOGS, st.integers(1, 6), st.lists(st.integers(1, 40), max_size=3))
def test_every_input_is_decided_once_when_the_owner_dies_at_any_step(
    rows: list[Input], batch: int, deaths: list[int]
) -> None:
    log = _consistent(rows)
    store, bus = MemoryJournalStore(), MemoryBus()
    for step in deaths:
        _crash_once(store, bus, log, batch, step)
    asyncio.run(_own(store, bus, log, batch))
    _check(store, bus, log)


@settings(max_examples=40, deadline=None)
@given(LOGS, st.integers(1, 5), st.integers(1, 5))
def test_two_owners_of_one_shard_write_one_chain(rows: list[Input], first: int, second: int) -> None:
    log = _consistent(rows)
    store, bus = MemoryJournalStore(), MemoryBus()

    async def both() -> None:
        await asyncio.gather(_own(store, bus, log, first), _own(store, bus, log, second))

    asyncio.run(both())
    chain = store.chain("0")
    assert verify_chain(chain) is None
    decided = [decision.input_id for block in chain for decision in block.decisions]
    assert sorted(decided) == sorted({message.input_id for message in log if message.message})


async def test_a_flipped_byte_in_a_block_is_found() -> None:
    store = MemoryJournalStore()
    async with running(store, MemoryBus()) as journal:
        for number in range(3):
            await journal.submit(make_input(f"c{number}", 1), shard="0")
    chain = store.chain("0")
    assert verify_chain(chain) is None
    bad = chain[1]
    decision = bad.decisions[0]
    forged = type(decision)("b", decision.seq, decision.input_id, decision.fingerprint, decision.entries)
    chain[1] = type(bad)(bad.shard, bad.block_no, bad.prev_hash, bad.offsets, (forged,), bad.at, bad.hash)
    assert verify_chain(chain) == "0:2"
