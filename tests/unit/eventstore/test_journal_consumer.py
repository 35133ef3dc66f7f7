"""A record in the wrong partition is never decided: its aggregate would have two owners."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from tests.support.fakes.memory_journal import MemoryBus, MemoryJournalStore
from tests.unit.eventstore.builders import ADDER
from winnow.adapters.partitions import Consumed, Source
from winnow.adapters.records import ConsumedRecord
from winnow.contracts.envelope import Envelope, RecordedMessage
from winnow.contracts.events import TaskCancelRequested
from winnow.contracts.ids import Prefix, derive_id
from winnow.eventstore import Input, Journal
from winnow.eventstore.consumer import JournalConsumer, WrongPartition
from winnow.runtime.clock import SystemClock

SHARDS = 4


def record(offset: int, name: str) -> ConsumedRecord:
    task_id = derive_id(Prefix.task, name)
    message = TaskCancelRequested(task_id=task_id, account_id="acct_a")
    envelope = Envelope(
        event_id=derive_id(Prefix.event, name),
        occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
        producer="ingest",
        subject=task_id,
        sequence=1,
        correlation_id=task_id,
        causation_id=task_id,
    )
    return ConsumedRecord(offset, RecordedMessage(envelope, message), name.encode())


def to_input(recorded: RecordedMessage[Any], mark: str) -> Input:
    return Input(recorded.message.task_id, recorded.envelope.event_id, 5, "correlation", mark)


async def handled(partition: int, received: list[ConsumedRecord]) -> tuple[Consumed, MemoryJournalStore]:
    store = MemoryJournalStore()
    journal = Journal(ADDER, store, MemoryBus(), SystemClock(), shards=SHARDS)
    running = asyncio.create_task(journal.run())
    try:
        consumer = JournalConsumer(journal, {TaskCancelRequested.type_name(): to_input})
        return await consumer.handle(Source("tasks", partition), received), store
    finally:
        running.cancel()


def names_in(partition: int, count: int) -> list[str]:
    journal = Journal(ADDER, MemoryJournalStore(), MemoryBus(), SystemClock(), shards=SHARDS)
    names = (f"n{number}" for number in range(1000))
    there = [task for task in names if journal.shard_of(derive_id(Prefix.task, task)) == str(partition)]
    return there[:count]


async def test_records_before_a_misplaced_one_are_decided_and_it_is_reported() -> None:
    at_home, astray = names_in(2, 3), names_in(1, 1)[0]
    received = [record(7, at_home[0]), record(8, at_home[1]), record(9, astray), record(10, at_home[2])]

    consumed, store = await handled(2, received)

    assert consumed.next_offset == 9
    assert isinstance(consumed.failed, WrongPartition)
    decided = [decision.aggregate_id for block in store.chain("2") for decision in block.decisions]
    assert decided == [derive_id(Prefix.task, name) for name in at_home[:2]]


async def test_a_batch_that_starts_misplaced_decides_nothing() -> None:
    consumed, store = await handled(2, [record(3, names_in(0, 1)[0]), record(4, names_in(2, 1)[0])])

    assert (consumed.next_offset, type(consumed.failed)) == (3, WrongPartition)
    assert store.blocks == {}


async def test_records_at_home_are_all_decided() -> None:
    names = names_in(3, 5)

    consumed, store = await handled(3, [record(offset, name) for offset, name in enumerate(names)])

    assert (consumed.next_offset, consumed.failed) == (5, None)
    assert sum(len(block.decisions) for block in store.chain("3")) == 5
