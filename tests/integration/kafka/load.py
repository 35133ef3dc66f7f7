"""A load through the services' own bus and outbox, and what a reader of the topic must be able to rely on.

Writing is done as services do it: blocks of entries go through the real outbox, which sends a failed batch again. Reading is
done by buses of one group. Nothing here decides anything, so every number that is written can be followed to its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from tests.support.ends import records_of
from tests.support.eventually import eventually
from tests.support.servers import bus as support
from winnow.adapters.bus import Bus
from winnow.adapters.partitions import Consumed, Source
from winnow.adapters.records import ConsumedRecord
from winnow.contracts.ids import shard_of
from winnow.contracts.upcast import MessageRegistry
from winnow.eventstore import Block, Decision, Entry
from winnow.eventstore.outbox import Outbox
from winnow.local.servers import KAFKA_SETTINGS

PARTITIONS = 4
KEYS = [f"key-{number}" for number in range(12)]
_AT = datetime(2026, 1, 1, tzinfo=UTC)


def bus_of(bootstrap: str, name: str) -> Bus:
    """Return a bus with the settings that services have on Apache Kafka."""
    return support.bus_of(bootstrap, name, KAFKA_SETTINGS, PARTITIONS)


@dataclass
class Writer:
    """Writes numbers 0, 1, 2, … for every key; ``acknowledged`` are those whose block the outbox has let go."""

    bus: Bus
    topic: str
    every_s: float = 0.05
    written: int = 0
    acknowledged: dict[tuple[str, int], float] = field(default_factory=dict)
    """Times of acknowledgement, on the monotonic clock."""
    bus_acknowledged: set[tuple[str, int]] = field(default_factory=set)
    """Those whose own send the bus has acknowledged, whatever became of the rest of their batch."""
    failures: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)
    _futures: list[asyncio.Future[None]] = field(default_factory=list)

    async def send(
        self, topic: str, partition: int, key: str, body: bytes, headers: dict[str, str]
    ) -> asyncio.Future[object]:
        """Send as the bus does, and note what it says about each message."""
        try:
            future = await self.bus.send(topic, partition, key, body, headers)
        except Exception as error:
            self.failures[type(error).__name__] += 1
            raise
        future.add_done_callback(lambda done: self._note(key, json.loads(body)["number"], done))
        return future

    def _note(self, key: str, number: int, done: asyncio.Future[object]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None:
            self.failures[type(error).__name__] += 1
        elif not done.cancelled():
            self.bus_acknowledged.add((key, number))

    async def run(self) -> None:
        """Write until stopped, then until the outbox is empty."""
        outbox = Outbox(self, PARTITIONS)
        sending = asyncio.create_task(outbox.run())
        try:
            number = 0
            while not self._stopped.is_set():
                self._put(outbox, number)
                number += 1
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopped.wait(), self.every_s)
            await asyncio.wait_for(asyncio.gather(*self._futures), 180)
        finally:
            sending.cancel()

    def _put(self, outbox: Outbox, number: int) -> None:
        entries = tuple(
            Entry(self.topic, key, "number.written", False, json.dumps({"key": key, "number": number}))
            for key in KEYS
        )
        decision = Decision("all", number + 1, f"cause-{number}", "", entries)
        future = outbox.put(Block("0", number, "", {}, (decision,), _AT))
        self.written += len(KEYS)
        self._futures.append(future)
        future.add_done_callback(lambda _: self._let_go(number))

    def _let_go(self, number: int) -> None:
        for key in KEYS:
            self.acknowledged[key, number] = time.monotonic()

    def stop(self) -> None:
        """Write no more."""
        self._stopped.set()


@dataclass
class Readers:
    """Buses of one group; ``handled`` counts how often each place was handled, by any of them."""

    bootstrap: str
    topic: str
    group: str
    handle_s: float = 0.0
    handled: dict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))
    running: list[Bus] = field(default_factory=list)
    started: int = 0

    async def add(self) -> None:
        """Start one more."""
        self.started += 1
        bus = bus_of(self.bootstrap, f"{self.group}-{self.started}")
        bus.subscribe([self.topic], self.group, MessageRegistry(()), self._handle)
        await bus.start()
        self.running.append(bus)

    async def remove(self) -> None:
        """Stop the one that runs longest."""
        await self.running.pop(0).stop()

    async def stop(self) -> None:
        """Stop all."""
        while self.running:
            await self.remove()

    async def _handle(self, source: Source, received: Sequence[ConsumedRecord]) -> Consumed:
        for record in received:
            if self.handle_s:
                await asyncio.sleep(self.handle_s)
            self.handled[source.partition, record.offset] += 1
        return Consumed(received[-1].offset + 1)


@dataclass
class CommitWatch:
    """Asks the broker for the committed offsets; none may ever pass a record that nobody has handled."""

    readers: Readers
    committed: dict[int, int] = field(default_factory=dict)
    looks: int = 0

    async def look(self, admin: AIOKafkaAdminClient) -> None:
        """Compare once. What is handled only grows, so that asking first is the strict order."""
        answer = await admin.list_consumer_group_offsets(self.readers.group)
        for lane, place in answer.items():
            for offset in range(self.committed.get(lane.partition, 0), place.offset):
                assert (lane.partition, offset) in self.readers.handled, f"passed {lane.partition}/{offset}"
            self.committed[lane.partition] = max(place.offset, self.committed.get(lane.partition, 0))
        self.looks += 1

    async def run(self) -> None:
        """Compare again and again until cancelled; a broker that is away is asked again."""
        while True:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.readers.bootstrap, request_timeout_ms=5_000)
            try:
                await admin.start()
                while True:
                    await self.look(admin)
                    await asyncio.sleep(0.2)
            except (KafkaError, OSError):
                await asyncio.sleep(0.2)
            finally:
                await admin.close()


async def log_of(bootstrap: str, topic: str) -> dict[int, list[tuple[int, str, int]]]:
    """Read the whole topic: offset, key and number of every record by partition."""
    lanes = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
    found: dict[int, list[tuple[int, str, int]]] = {lane.partition: [] for lane in lanes}
    async with (
        asyncio.timeout(60),
        AIOKafkaConsumer(
            bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
        ) as consumer,
    ):
        async for record in records_of(consumer, lanes):
            body = json.loads(record.value)
            found[record.partition].append((record.offset, body["key"], body["number"]))
    return found


def first_places(log: dict[int, list[tuple[int, str, int]]]) -> dict[str, list[int]]:
    """Return the numbers of every key in the order of their first appearance; a key lies in its own partition."""
    order: dict[str, list[int]] = {key: [] for key in KEYS}
    for partition, records in log.items():
        for _, key, number in records:
            assert shard_of(key, PARTITIONS) == partition
            if number not in order[key]:
                order[key].append(number)
    return order


async def all_handled(readers: Readers, log: dict[int, list[tuple[int, str, int]]], within_s: float) -> None:
    """Wait until every record of the log was handled."""
    places = {(partition, offset) for partition, records in log.items() for offset, _, _ in records}
    await eventually(lambda: not places - readers.handled.keys(), within_s=within_s)
