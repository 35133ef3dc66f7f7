"""Reads topics as an outsider: from the start to the ends found when the reading began; writes one record."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from winnow.cli.trouble import Trouble

_POLL_MS: Final = 500
_QUIET_POLLS_MAX: Final = 60
"""Polls without a record before a partition that should hold more is given up (30 s)."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A record as it lies in a topic."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    body: bytes
    headers: tuple[tuple[str, bytes], ...]

    def header(self, name: str) -> str:
        """Give a header as text; empty when it is not there."""
        return next((value.decode(errors="replace") for one, value in self.headers if one == name), "")


@asynccontextmanager
async def reading(bootstrap: str) -> AsyncIterator[Any]:
    """Connect a consumer without a group; raises Trouble when Kafka does not answer."""
    consumer: Any = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        client_id="winnow-cli",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
        request_timeout_ms=20_000,
    )
    try:
        await consumer.start()
    except KafkaError as error:
        await consumer.stop()
        raise Trouble(f"Kafka at {bootstrap} does not answer. Is the line up (`winnow up`)?") from error
    try:
        yield consumer
    finally:
        await consumer.stop()


async def extents(consumer: Any, topics: Sequence[str]) -> dict[tuple[str, int], tuple[int, int]]:
    """Give the first offset and the end of every partition of those topics that exist."""
    present = await consumer.topics()
    lanes = [
        TopicPartition(topic, partition)
        for topic in topics
        if topic in present
        for partition in sorted(consumer.partitions_for_topic(topic) or ())
    ]
    if not lanes:
        return {}
    starts = await consumer.beginning_offsets(lanes)
    ends = await consumer.end_offsets(lanes)
    return {(lane.topic, lane.partition): (starts[lane], ends[lane]) for lane in lanes}


async def read_all(consumer: Any, spans: Mapping[tuple[str, int], tuple[int, int]]) -> AsyncIterator[Kept]:
    """Give every record inside the spans, each partition in order; raises Trouble when one stops answering."""
    open_lanes = {TopicPartition(*place): end for place, (start, end) in spans.items() if end > start}
    if not open_lanes:
        return
    consumer.assign(list(open_lanes))
    for lane in open_lanes:
        consumer.seek(lane, spans[lane.topic, lane.partition][0])
    quiet = 0
    while open_lanes:
        batches = await consumer.getmany(*open_lanes, timeout_ms=_POLL_MS)
        quiet = 0 if batches else quiet + 1
        if quiet > _QUIET_POLLS_MAX:
            names = ", ".join(f"{lane.topic}/{lane.partition}" for lane in open_lanes)
            raise Trouble(f"Kafka gives no more records, though there should be some: {names}.")
        for lane, records in batches.items():
            for record in records:
                if record.offset < open_lanes.get(lane, 0):
                    yield _kept(record)
        for lane in [one for one in open_lanes if await consumer.position(one) >= open_lanes[one]]:
            del open_lanes[lane]


async def read_one(bootstrap: str, topic: str, partition: int, offset: int) -> Kept:
    """Give one record; raises Trouble when there is none at that place."""
    async with reading(bootstrap) as consumer:
        spans = await extents(consumer, [topic])
        if (topic, partition) not in spans:
            raise Trouble(f"There is no partition {partition} of topic {topic}.")
        start, end = spans[topic, partition]
        if not start <= offset < end:
            raise Trouble(f"{topic}/{partition} holds offsets {start} to {end - 1}." if end > start
                          else f"{topic}/{partition} holds nothing.")  # fmt: skip
        async for record in read_all(consumer, {(topic, partition): (offset, offset + 1)}):
            return record
    raise Trouble(f"{topic}/{partition} has no record at offset {offset}.")


async def write(bootstrap: str, records: Sequence[Kept]) -> None:
    """Publish records as given, to the partitions they name; raises Trouble when one is not confirmed."""
    # The idempotent producer is refused by some brokers; a record that is written twice is decided once.
    producer: Any = AIOKafkaProducer(bootstrap_servers=bootstrap, client_id="winnow-cli", acks="all")
    try:
        await producer.start()
        for record in records:
            await producer.send_and_wait(
                record.topic,
                record.body,
                key=record.key,
                partition=record.partition,
                headers=list(record.headers),
            )
    except KafkaError as error:
        raise Trouble(f"Kafka did not confirm the record ({type(error).__name__}).") from error
    finally:
        await producer.stop()


def _kept(record: Any) -> Kept:
    return Kept(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp,
        key=record.key,
        body=record.value or b"",
        headers=tuple(record.headers),
    )
