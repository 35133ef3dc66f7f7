"""The bus by itself on each broker: order, poison, bugs, and where a restarted reader goes on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.support.bus import bus_of
from tests.support.eventually import eventually
from winnow.adapters.bus import BUG_TRIES_MAX, Bus, Received
from winnow.adapters.partitions import Consumed, Source
from winnow.contracts.envelope import Envelope, RecordedMessage
from winnow.contracts.events import TaskCancelRequested
from winnow.contracts.ids import Prefix, derive_id, shard_of
from winnow.contracts.topics import REGISTRY, dead_letter_topic
from winnow.local.ports import HOST, choose
from winnow.local.stack import Addresses

PARTITIONS = 3
GROUP = "winnow-test"
TYPE = TaskCancelRequested.type_name()
JOIN_S = 60.0


@dataclass
class Seen:
    """Handles what the bus reads; ``breaks`` says how often a body fails before it is accepted (negative: always)."""

    breaks: dict[bytes, int] = field(default_factory=dict)
    tries: list[bytes] = field(default_factory=list)
    bodies: list[tuple[int, bytes]] = field(default_factory=list)
    undecoded: list[tuple[int, bytes]] = field(default_factory=list)

    async def handle(self, source: Source, received: Sequence[Received]) -> Consumed:
        for record in received:
            left = self.breaks.get(record.body, 0)
            if left:
                self.breaks[record.body] = left - 1
                self.tries.append(record.body)
                return Consumed(record.offset, failed=ArithmeticError("a bug of the test"))
            (self.bodies if record.recorded else self.undecoded).append((source.partition, record.body))
        return Consumed(received[-1].offset + 1)


@dataclass
class Place:
    """A topic of its own with its dead-letter topic, and the buses on it."""

    addresses: Addresses
    topic: str
    buses: list[Bus] = field(default_factory=list)

    async def writer(self, bootstrap: str = "") -> Bus:
        bus = bus_of(
            bootstrap or self.addresses.kafka_bootstrap, "writer", self.addresses.bus_settings, PARTITIONS
        )
        await bus.start()
        self.buses.append(bus)
        return bus

    async def reader(self, seen: Seen, *types: str) -> Bus:
        bus = bus_of(self.addresses.kafka_bootstrap, "reader", self.addresses.bus_settings, PARTITIONS)
        bus.subscribe([self.topic], GROUP, REGISTRY.subset(types or [TYPE]), seen.handle)
        await bus.start()
        self.buses.append(bus)
        await eventually(lambda: bus.joined, within_s=JOIN_S)
        return bus

    async def stop(self, bus: Bus) -> None:
        self.buses.remove(bus)
        await bus.stop()

    async def committed(self, partition: int) -> int | None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.addresses.kafka_bootstrap, group_id=GROUP, enable_auto_commit=False
        )
        await consumer.start()
        try:
            offset: int | None = await consumer.committed(TopicPartition(self.topic, partition))
        finally:
            await consumer.stop()
        return offset

    async def dead_letters(self, count: int) -> list[Any]:
        consumer = AIOKafkaConsumer(
            dead_letter_topic(self.topic, GROUP),
            bootstrap_servers=self.addresses.kafka_bootstrap,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        found: list[Any] = []
        try:

            async def all_there() -> bool:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found.extend(records)
                return len(found) >= count

            await eventually(all_there, within_s=30)
        finally:
            await consumer.stop()
        return found


@pytest.fixture
async def place(servers: Addresses) -> AsyncIterator[Place]:
    topic = f"bus-{uuid4().hex}"
    admin = AIOKafkaAdminClient(bootstrap_servers=servers.kafka_bootstrap)
    await admin.start()
    names = (topic, dead_letter_topic(topic, GROUP))
    await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
    await admin.close()
    place = Place(servers, topic)
    yield place
    for bus in place.buses:
        await bus.stop()


def body_of(key: str, number: int) -> bytes:
    task_id = derive_id(Prefix.task, key)
    envelope = Envelope(
        event_id=derive_id(Prefix.event, key, str(number)),
        occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
        producer="ingest",
        subject=task_id,
        sequence=number + 1,
        correlation_id=task_id,
        causation_id=task_id,
    )
    return RecordedMessage(envelope, TaskCancelRequested(task_id=task_id, account_id="acct_bus")).encode()


async def send(
    writer: Bus, place: Place, key: str, body: bytes, headers: dict[str, str] | None = None
) -> None:
    future = await writer.send(
        place.topic, shard_of(key, PARTITIONS), key, body, {"type": TYPE, **(headers or {})}
    )
    await future


async def test_what_is_still_to_be_sent_can_be_when_the_bus_reads_no_more(place: Place) -> None:
    seen = Seen()
    bus = await place.reader(seen)

    await bus.stop_reading()

    await (await bus.send(place.topic, 0, "late", body_of("late", 1), {"type": TYPE}))
    again = Seen()
    await place.reader(again)
    await eventually(lambda: again.bodies, within_s=30)
    assert seen.bodies == []


async def test_every_key_is_read_in_the_order_of_writing(place: Place) -> None:
    keys = [f"key-{number}" for number in range(8)]
    writer, seen = await place.writer(), Seen()
    futures = [
        await writer.send(place.topic, shard_of(key, PARTITIONS), key, body_of(key, number), {"type": TYPE})
        for number in range(50)
        for key in keys
    ]
    for future in futures:
        await future
    await place.reader(seen)

    await eventually(lambda: len(seen.bodies) == len(futures), within_s=30)
    for key in keys:
        subject = derive_id(Prefix.task, key)
        of_key = [body for _, body in seen.bodies if json.loads(body)["subject"] == subject]
        assert of_key == [body_of(key, number) for number in range(50)]


async def test_poison_is_put_aside_and_its_neighbours_are_handled(place: Place) -> None:
    writer, seen = await place.writer(), Seen()
    good = [body_of("key", number) for number in range(3)]
    poison = [b"\xff not json", b'{"type": "task.cancel_requested"}']
    for body in (good[0], poison[0], good[1], poison[1], good[2]):
        await send(writer, place, "key", body)
    await place.reader(seen)

    lane = shard_of("key", PARTITIONS)
    await eventually(lambda: len(seen.bodies) == 3, within_s=30)
    assert seen.bodies == [(lane, body) for body in good]
    letters = await place.dead_letters(2)
    assert [letter.value for letter in letters] == poison
    assert {letter.partition for letter in letters} == {lane}
    told = [dict(letter.headers) for letter in letters]
    assert [(letter["dlq-reason"], letter["dlq-offset"]) for letter in told] == [
        (b"poison", b"1"),
        (b"poison", b"3"),
    ]
    assert {letter["dlq-topic"] for letter in told} == {place.topic.encode()}

    async def all_committed() -> bool:
        return await place.committed(lane) == 5

    await eventually(all_committed, within_s=15)


async def test_a_record_that_always_breaks_is_put_aside_after_five_tries(place: Place) -> None:
    bodies = [body_of("key", number) for number in range(3)]
    writer, seen = await place.writer(), Seen(breaks={bodies[1]: -1})
    for body in bodies:
        await send(writer, place, "key", body)
    await place.reader(seen)

    (letter,) = await place.dead_letters(1)
    assert letter.value == bodies[1]
    headers = dict(letter.headers)
    assert (headers["dlq-reason"], headers["dlq-error"]) == (b"bug", b"ArithmeticError")
    await eventually(lambda: len(seen.bodies) == 2, within_s=15)
    assert seen.tries == [bodies[1]] * BUG_TRIES_MAX
    assert [body for _, body in seen.bodies] == [bodies[0], bodies[2]]


async def test_a_record_that_breaks_for_a_while_holds_its_partition_and_no_other(place: Place) -> None:
    bodies = [body_of("key", number) for number in range(3)]
    elsewhere = next(
        name
        for name in (f"other-{number}" for number in range(99))
        if shard_of(name, PARTITIONS) != shard_of("key", PARTITIONS)
    )
    writer, seen = await place.writer(), Seen(breaks={bodies[0]: 3})
    for body in bodies:
        await send(writer, place, "key", body)
    await send(writer, place, elsewhere, body_of(elsewhere, 0))
    await place.reader(seen)

    await eventually(lambda: len(seen.bodies) == 4, within_s=30)
    assert seen.tries == [bodies[0]] * 3
    lane = shard_of("key", PARTITIONS)
    assert [body for partition, body in seen.bodies if partition == lane] == bodies


async def test_a_reader_goes_on_where_the_one_before_it_stopped(place: Place) -> None:
    writer, first, second = await place.writer(), Seen(), Seen()
    await send(writer, place, "key", body_of("key", 0))
    reader = await place.reader(first)
    await eventually(lambda: first.bodies, within_s=30)
    await place.stop(reader)
    await send(writer, place, "key", body_of("key", 1))
    await place.reader(second)

    await eventually(lambda: second.bodies, within_s=JOIN_S)
    assert [body for _, body in first.bodies + second.bodies] == [body_of("key", 0), body_of("key", 1)]


async def test_an_address_that_is_dead_leaves_the_others(place: Place) -> None:
    dead = choose(["nobody"], {})["nobody"]
    writer = await place.writer(f"{HOST}:{dead},{place.addresses.kafka_bootstrap}")
    await send(writer, place, "key", body_of("key", 0))
