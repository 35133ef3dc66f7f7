"""The journal's promise: every input is decided once and published at least once, whatever dies when."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.chain import verify_chain
from tests.support.memory_journal import MemoryBus, MemoryJournalStore
from tests.unit.eventstore.builders import ADDER, SOURCE, Crash, Mortal, Sum, add, make_input, running
from winnow.contracts.envelope import Message
from winnow.eventstore import Input, InputReused, Journal, NotOwner
from winnow.runtime.clock import SystemClock


async def _own(store: Any, bus: Any, log: list[Input], batch: int) -> None:
    """Be an owner of shard 0 until the whole log is consumed."""
    journal = Journal(ADDER, store, bus, SystemClock(), shards=4)
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


async def _consume(journal: Journal[Sum], log: list[Input], batch: int) -> None:
    at = 0
    while at < len(log):
        items = [(at + index, message) for index, message in enumerate(log[at : at + batch])]
        consumed = await journal.consume("0", SOURCE, items)
        at = consumed.next_offset
    await journal.drain()


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


async def test_a_failing_decision_stops_its_partition_there_and_spares_the_ones_before() -> None:
    store = MemoryJournalStore()
    async with running(store, MemoryBus()) as journal:
        items = [(0, make_input("a", 1)), (1, make_input("b", -1)), (2, make_input("c", 2))]
        consumed = await journal.consume("0", SOURCE, items)
        assert (consumed.next_offset, type(consumed.failed)) == (1, ValueError)
        passed = await journal.consume("0", SOURCE, [(1, None), (2, make_input("c", 2))])
    assert passed.next_offset == 3
    assert [decision.input_id for block in store.chain("0") for decision in block.decisions] == ["a", "c"]


async def test_consume_asks_to_seek_when_the_batch_starts_after_the_journal() -> None:
    async with running(MemoryJournalStore(), MemoryBus()) as journal:
        await journal.consume("0", SOURCE, [(0, make_input("a", 1))])
        consumed = await journal.consume("0", SOURCE, [(5, make_input("b", 1))])
        assert (consumed.next_offset, consumed.seek) == (1, True)
        # The records between are gone from the bus: asked again, the journal goes on.
        consumed = await journal.consume("0", SOURCE, [(5, make_input("b", 1))])
    assert (consumed.next_offset, consumed.seek) == (6, False)


async def test_a_record_below_the_journals_offset_is_not_decided_again() -> None:
    """It led to nothing when it came, so no input remembers it; meanwhile it would lead to something."""

    def gated(state: Sum, message: object, now: datetime) -> Sequence[Message]:
        return [] if message == 2 and not state.total else add(state, message, now)

    store = MemoryJournalStore()
    journal = Journal(replace(ADDER, decide=gated), store, MemoryBus(), SystemClock(), shards=4)
    journal.assign(["0"])
    task = asyncio.create_task(journal.run())
    try:
        log = [(0, make_input("first", 2)), (1, make_input("opens", 1))]
        assert (await journal.consume("0", SOURCE, log)).next_offset == 2
        again = await journal.consume("0", SOURCE, [*log, (2, make_input("new", 3))])
        assert (again.next_offset, again.seek, again.failed) == (3, False, None)
        only_old = await journal.consume("0", SOURCE, log)
        assert only_old.next_offset == 3
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [decision.input_id for block in store.chain("0") for decision in block.decisions] == [
        "opens",
        "new",
    ]


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


async def test_records_below_the_journals_offset_are_not_decided_again() -> None:
    """A record that led to nothing left no input behind: only its offset says that it was decided."""
    log = [make_input("c0", 1), make_input("c1", 0), make_input("c2", 2)]
    store, asked = MemoryJournalStore(), list[object]()

    def noting(state: Sum, message: object, now: datetime) -> Sequence[Message]:
        asked.append(message)
        return add(state, message, now)

    for _ in range(2):
        journal = Journal(replace(ADDER, decide=noting), store, MemoryBus(), SystemClock(), shards=4)
        running = asyncio.create_task(journal.run())
        await _consume(journal, log, 3)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert asked == [1, 0, 2]


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
