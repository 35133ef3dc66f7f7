"""A topic of its own on the bus of the tests, what is sent there and what was seen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.support.eventually import eventually
from tests.support.servers.bus import bus_of
from winnow.adapters.bus import Bus
from winnow.adapters.partitions import Consumed, Source
from winnow.adapters.records import ConsumedRecord
from winnow.contracts.envelope import Envelope, RecordedMessage
from winnow.contracts.events import TaskCancelRequested
from winnow.contracts.ids import Prefix, derive_id, shard_of
from winnow.contracts.topics import REGISTRY, dead_letter_topic
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

    async def handle(self, source: Source, received: Sequence[ConsumedRecord]) -> Consumed:
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
