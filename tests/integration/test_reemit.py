"""A bus that lost everything gets its record again from the journals; servers of its own, since it wants them all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.journal_store_suite import AT, decision
from winnow.adapters.leases import Purpose, StoreLease
from winnow.adapters.mongo import Mongo
from winnow.adapters.partitions import Source
from winnow.adapters.topics import apply_topics
from winnow.audit.records import TopicReader, TopicRecord, connected_consumer
from winnow.audit.reemit import ReemissionRefused, reemit
from winnow.contracts.errors import Unavailable
from winnow.contracts.ids import shard_of
from winnow.contracts.topics import TASKS
from winnow.eventstore import Block, MongoJournalStore
from winnow.eventstore.model import GENESIS
from winnow.local.stack import Addresses, EmbeddedStack
from winnow.runtime.clock import SystemClock

SHARDS = 4
TASK = "task_1"
OFFSETS = {Source(TASKS.name, 0): 57}


@dataclass
class Journals:
    """Decisions of two services, in turns, when the bus was lost; all but the last block was on it."""

    addresses: Addresses
    router: Mongo
    ledger: Mongo

    @property
    def store(self) -> MongoJournalStore:
        return MongoJournalStore(self.router.database)

    async def send_again(self, *, force: bool = False) -> int:
        return await reemit(self.addresses.kafka_bootstrap, self.addresses.mongo_uri, force=force)

    async def on_the_bus(self) -> list[TopicRecord]:
        async with connected_consumer(self.addresses.kafka_bootstrap) as consumer:
            topic = TopicReader(consumer, [TASKS.name])
            await topic.begin()
            return [record async for record in topic.read_on()]


def _block(
    input_: str, number: int, previous: Block | None, second: int, topic: str | None = TASKS.name
) -> Block:
    made_decision = decision(input_, TASK, topic=topic)
    before = previous.hash if previous else GENESIS
    made = Block("0", number, before, OFFSETS, (made_decision,), AT + timedelta(seconds=second))
    return replace(made, sent_to=number - 1).sealed()


@pytest.fixture
async def journals(tmp_path: Path) -> AsyncIterator[Journals]:
    stack = EmbeddedStack(tmp_path, bus_engine="memory", disk_min_bytes=0)
    stack.start()
    try:
        addresses = stack.addresses
        await apply_topics(addresses.kafka_bootstrap, shards=SHARDS, replicas=1)
        router, ledger = (
            Mongo(addresses.mongo_uri, database) for database in ("winnow_router", "winnow_ledger")
        )
        await ledger.fix_shards(SHARDS)
        for mongo, inputs in ((router, {"c1": 0, "c3": 2, "c4": 3}), (ledger, {"c2": 1})):
            store = MongoJournalStore(mongo.database)
            await store.prepare()
            previous = None
            for number, (input_, second) in enumerate(inputs.items(), start=1):
                previous = _block(input_, number, previous, second)
                await store.insert([previous])
            await store.save([], {"0": len(inputs)}, {"0": len(inputs) - 1})
        yield Journals(addresses, router, ledger)
        router.close()
        ledger.close()
    finally:
        stack.stop()


async def test_every_message_is_sent_again_in_the_order_of_the_decisions(journals: Journals) -> None:
    assert await journals.send_again() == 4

    kept = await journals.on_the_bus()
    assert [record.body for record in kept] == [
        b'{"cause":"%s"}' % input_ for input_ in (b"c1", b"c2", b"c3", b"c4")
    ]
    assert {(record.partition, record.key) for record in kept} == {(shard_of(TASK, SHARDS), TASK.encode())}
    assert dict(kept[0].headers)["type"] == b"test.added"


async def test_the_journals_forget_the_offsets_of_the_lost_bus_and_owe_it_nothing(journals: Journals) -> None:
    before = await journals.store.head("0")
    assert before is not None
    assert before.offsets == OFFSETS

    await journals.send_again()

    head = await journals.store.head("0")
    assert head is not None
    assert (head.block_no, head.hash, head.offsets) == (3, before.hash, {})
    assert await journals.store.sent_to("0") == 3
    assert await journals.store.unsent("0") == []
    # What is decided after the loss knows the offsets of the new bus.
    fourth = _block("c5", 4, before, 5)
    await journals.store.insert([fourth])
    assert await journals.store.head("0") == fourth


async def test_an_owner_sends_everything_itself_where_sending_again_was_stopped_half_way(
    journals: Journals,
) -> None:
    await journals.store.forget_bus()

    assert [block.block_no for block in await journals.store.unsent("0")] == [1, 2, 3]
    await journals.store.save([], {}, {"0": 2})
    assert [block.block_no for block in await journals.store.unsent("0")] == [3]


async def test_a_bus_that_holds_records_is_left_alone_unless_forced(journals: Journals) -> None:
    await journals.send_again()

    with pytest.raises(ReemissionRefused, match=r"the bus is not empty \(winnow.tasks.v1\)"):
        await journals.send_again()
    assert await journals.send_again(force=True) == 4
    assert len(await journals.on_the_bus()) == 8


async def test_nothing_is_sent_while_a_service_runs(journals: Journals) -> None:
    lease = StoreLease(journals.router.database, SystemClock(), "router-1", Purpose.serving)
    await lease.take()

    with pytest.raises(Unavailable, match="router-1"):
        await journals.send_again()
    assert await journals.on_the_bus() == []
    await lease.release()
    assert await journals.send_again() == 4
