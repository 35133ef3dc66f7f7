"""An older and a newer build on one bus and one database, as during a rolling upgrade."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from prometheus_client import REGISTRY as METRICS

from tests.integration.bus_records import GROUP, PARTITIONS, TYPE, Place, Seen, body_of, send
from tests.support.chain import verify_chain
from tests.support.ends import ends_of
from tests.support.eventually import eventually
from tests.support.journal_upgrade_suite import NEWER, OLDER, Added, AddedUnits, Sum
from tests.support.servers.bus import bus_of
from winnow.adapters.mongo import Mongo
from winnow.contracts.decider import Decider
from winnow.contracts.ids import Prefix, derive_id, shard_of
from winnow.contracts.topics import dead_letter_topic
from winnow.eventstore import Journal, MongoJournalStore
from winnow.eventstore.consumer import JournalConsumer, input_about
from winnow.local.stack import Addresses
from winnow.runtime.clock import SystemClock

FUNDED = "task.funded"
GOLDEN = Path(__file__).resolve().parents[1] / "contract/golden/task.funded.v1/demo.json"


OLDER_TASKS = replace(OLDER, decide=lambda _state, _message, _now: [Added(tens=1)])
"""Adds ten for every record about a task."""

NEWER_TASKS = replace(NEWER, decide=lambda _state, _message, _now: [AddedUnits(units=10)])
"""Adds ten for every record about a task, in events of a newer version."""


def newer_records() -> float:
    found = METRICS.collect()
    return sum(
        sample.value
        for family in found
        for sample in family.samples
        if sample.name == "winnow_bus_newer_records_total" and sample.labels["type"] == FUNDED
    )


async def dead_letters_count(place: Place) -> int:
    consumer = AIOKafkaConsumer(bootstrap_servers=place.addresses.kafka_bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        topic = dead_letter_topic(place.topic, GROUP)
        return sum(
            (await ends_of(consumer, [TopicPartition(topic, index) for index in range(PARTITIONS)])).values()
        )
    finally:
        await consumer.stop()


async def test_a_second_version_of_task_funded_is_skipped_and_what_follows_is_read(place: Place) -> None:
    funded: dict[str, Any] = json.loads(GOLDEN.read_text())
    second = json.dumps(
        {field: funded[field] for field in funded if field != "reservation_id"} | {"version": 2}
    ).encode()
    known = [body_of("key", number) for number in range(4)]
    first = json.dumps(funded).encode()
    writer, seen, before = await place.writer(), Seen(), newer_records()
    for body, headers in (
        (known[0], {}),
        (second, {"type": FUNDED, "version": "2"}),
        (known[1], {"version": "1"}),
        (second, {"type": FUNDED}),
        (b"no JSON at all", {"type": FUNDED, "version": "2"}),
        (first, {"type": FUNDED, "version": "1"}),
        (known[2], {}),
        (first, {"type": FUNDED}),
        (known[3], {}),
    ):
        await send(writer, place, "key", body, headers)
    await place.reader(seen, TYPE, FUNDED)

    await eventually(lambda: len(seen.bodies) == 6, within_s=60)
    assert [body for _, body in seen.bodies] == [known[0], known[1], first, known[2], first, known[3]]
    assert [body for _, body in seen.undecoded] == [second, second, b"no JSON at all"]
    assert newer_records() == before + 3
    lane = shard_of("key", PARTITIONS)

    async def all_committed() -> bool:
        return await place.committed(lane) == 9

    await eventually(all_committed, within_s=30)
    assert await dead_letters_count(place) == 0


@contextlib.asynccontextmanager
async def replica(build: Decider[Sum], place: Place, store: MongoJournalStore) -> AsyncIterator[Journal[Sum]]:
    """Run a process of one build: its journal, and its place in the group."""
    addresses = place.addresses
    bus = bus_of(addresses.kafka_bootstrap, "replica", addresses.bus_settings, PARTITIONS)
    journal = Journal(build, store, bus, SystemClock(), shards=PARTITIONS, save_every_s=3600)
    consumer = JournalConsumer(
        journal,
        {TYPE: lambda recorded, fingerprint: input_about(recorded.message.task_id, recorded, fingerprint)},
    )
    consumer.subscribe(bus, place.topic, GROUP)
    writing = asyncio.create_task(journal.run())
    await bus.start()
    try:
        yield journal
    finally:
        await bus.stop_reading()
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await bus.stop()


@pytest.fixture
async def store(servers: Addresses) -> AsyncIterator[MongoJournalStore]:
    connection = Mongo(servers.mongo_uri, f"test_upgrade_{uuid4().hex}")
    store = MongoJournalStore(connection.database)
    await store.prepare()
    yield store
    await connection.database.client.drop_database(connection.database.name)
    connection.close()


def key_of(shard: int) -> str:
    """Return a key whose task lies in a shard, as its record does."""
    return next(
        f"key-{number}"
        for number in range(1000)
        if shard_of(derive_id(Prefix.task, f"key-{number}"), PARTITIONS) == shard
    )


async def test_an_older_process_holds_a_newer_shard_and_hands_it_on_while_its_others_go_on(
    place: Place, store: MongoJournalStore
) -> None:
    writer = await place.writer()
    keys = [key_of(shard) for shard in range(PARTITIONS)]
    tasks = [derive_id(Prefix.task, key) for key in keys]

    async def write(shard: int, number: int) -> None:
        body = body_of(keys[shard], number)
        await (await writer.send(place.topic, shard, tasks[shard], body, {"type": TYPE}))

    async def decided(shard: int) -> list[str]:
        blocks = await store.blocks_after(str(shard), 0)
        assert verify_chain(blocks) is None
        return [decision.input_id for block in blocks for decision in block.decisions]

    async def has(shard: int, count: int) -> bool:
        return len(await decided(shard)) == count

    await write(0, 0)
    async with replica(NEWER_TASKS, place, store):
        await eventually(lambda: has(0, 1), within_s=60)

    async with replica(OLDER_TASKS, place, store) as older:
        for number in range(1, 4):
            await write(0, number)
            await write(1, number)
        await eventually(lambda: has(1, 3), within_s=60)
        await eventually(lambda: list(older.held_shards()) == ["0"], within_s=60)
        assert "test.added version 2" in older.held_shards()["0"]
        await write(1, 4)
        await eventually(lambda: has(1, 4), within_s=60)
        assert len(await decided(0)) == 1
        assert await place.committed(0) == 1

    async with replica(NEWER_TASKS, place, store) as newer:
        await write(0, 4)
        await eventually(lambda: has(0, 5), within_s=60)
        await eventually(lambda: newer.state(tasks[0]) == Sum(50), within_s=60)
        await eventually(lambda: newer.state(tasks[1]) == Sum(40), within_s=60)
    wanted = [derive_id(Prefix.event, keys[0], str(number)) for number in range(5)]
    assert await decided(0) == wanted
