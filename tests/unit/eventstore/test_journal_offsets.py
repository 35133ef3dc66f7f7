"""Consumed batches: where a partition goes on, and that no record is decided again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from tests.support.fakes.memory_journal import MemoryBus, MemoryJournalStore
from tests.unit.eventstore.builders import ADDER, SOURCE, Sum, add, consume_log, make_input, running
from winnow.contracts.envelope import Message
from winnow.eventstore import Journal
from winnow.runtime.clock import SystemClock


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
        await consume_log(journal, log, 3)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert asked == [1, 0, 2]
