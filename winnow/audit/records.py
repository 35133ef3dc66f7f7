"""Reads topics as an outsider: from the start to the ends found when the reading began; writes one record."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from winnow.adapters.kafka_errors import kafka_answering
from winnow.audit.lanes import bytes_of, text_of
from winnow.contracts.errors import NotFound, Unavailable

_POLL_MS: Final = 500
_QUIET_POLLS_MAX: Final = 60
"""Polls without a record before a partition that should hold more is given up (30 s)."""


@dataclass(frozen=True, slots=True)
class TopicRecord:
    """A record as it lies in a topic."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    body: bytes
    headers: tuple[tuple[str, bytes], ...]

    def header(self, name: str) -> str:
        """Return a header as text; empty when it is not there."""
        return next((value.decode(errors="replace") for header, value in self.headers if header == name), "")

    def document(self) -> dict[str, Any]:
        """Return the record in the form that is chained and archived: text where it is text, else base64."""
        return {
            "offset": self.offset,
            "timestamp_ms": self.timestamp_ms,
            "key": None if self.key is None else text_of(self.key),
            "headers": [[name, text_of(value)] for name, value in self.headers],
            "body": text_of(self.body),
        }


@asynccontextmanager
async def connected_consumer(bootstrap: str) -> AsyncIterator[Any]:
    """Connect a consumer without a group; raises Unavailable when Kafka does not answer."""
    consumer: Any = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        client_id="winnow-cli",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
        request_timeout_ms=20_000,
    )
    try:
        with kafka_answering(f"Kafka at {bootstrap} does not answer. Is the line up (`winnow up`)?"):
            await consumer.start()
    except Unavailable:
        await consumer.stop()
        raise
    try:
        yield consumer
    finally:
        await consumer.stop()


class TopicReader:
    """Reads topics from the start, and at each call on to where they end by then."""

    def __init__(self, consumer: Any, topics: Sequence[str]) -> None:
        """Read those topics that exist."""
        self._consumer = consumer
        self._topics = topics
        self.next_offsets: dict[tuple[str, int], int] = {}

    async def begin(self) -> None:
        """Find the partitions and their first records; raises NotFound when none of the topics exists."""
        present = await self._consumer.topics()
        firsts = [TopicPartition(topic, 0) for topic in self._topics if topic in present]
        if not firsts:
            raise NotFound(f"There is no topic {' or '.join(self._topics)}; run `winnow topics apply`.")
        # The partitions of a topic are known once the consumer reads one of them; a question brings the answer.
        self._consumer.assign(firsts)
        await self._consumer.beginning_offsets(firsts)
        lanes = [
            TopicPartition(first.topic, partition)
            for first in firsts
            for partition in sorted(self._consumer.partitions_for_topic(first.topic) or ())
        ]
        starts = await self._consumer.beginning_offsets(lanes)
        self.next_offsets = {(lane.topic, lane.partition): starts[lane] for lane in lanes}

    async def read_on(self) -> AsyncIterator[TopicRecord]:
        """Yield every record up to the ends, each partition in order.

        An end is the high watermark of the first answer. Some brokers answer a question for the latest offset
        with the start of the last batch. Raises Unavailable when a partition stops answering.
        """
        open_lanes = [TopicPartition(*place) for place in self.next_offsets]
        # Assigned anew, so that no high watermark of an earlier reading is taken for the end.
        self._consumer.assign(open_lanes)
        for lane in open_lanes:
            self._consumer.seek(lane, self.next_offsets[lane.topic, lane.partition])
        ends: dict[Any, int] = {}
        quiet = 0
        while open_lanes:
            batches = await self._consumer.getmany(*open_lanes, timeout_ms=_POLL_MS)
            quiet = 0 if batches else quiet + 1
            if quiet > _QUIET_POLLS_MAX:
                names = ", ".join(f"{lane.topic}/{lane.partition}" for lane in open_lanes)
                raise Unavailable(f"Kafka gives no more records, though there should be some: {names}.")
            for lane in open_lanes:
                if (end := self._consumer.highwater(lane)) is not None:
                    ends.setdefault(lane, end)
            for lane, records in batches.items():
                for record in records:
                    if record.offset < ends.get(lane, record.offset + 1):
                        yield _topic_record(record)
            open_lanes = [lane for lane in open_lanes if not await self._ended(lane, ends)]

    async def _ended(self, lane: Any, ends: Mapping[Any, int]) -> bool:
        if lane not in ends or await self._consumer.position(lane) < ends[lane]:
            return False
        place = (lane.topic, lane.partition)
        self.next_offsets[place] = max(self.next_offsets[place], ends[lane])
        return True


async def read_one(bootstrap: str, topic: str, partition: int, offset: int) -> TopicRecord:
    """Return a record; raises NotFound when there is none at that place."""
    async with connected_consumer(bootstrap) as consumer:
        those = TopicReader(consumer, [topic])
        await those.begin()
        start = those.next_offsets.get((topic, partition))
        if start is None:
            raise NotFound(f"There is no partition {partition} of topic {topic}.")
        those.next_offsets = {(topic, partition): max(start, offset)}
        async for record in those.read_on():
            if record.offset == offset:
                return record
    raise NotFound(f"{topic}/{partition} holds no record at offset {offset}.")


async def write(bootstrap: str, records: Sequence[TopicRecord]) -> None:
    """Publish records as given, to the partitions they name; raises Unavailable when one is not confirmed."""
    # The idempotent producer is refused by some brokers; a record that is written twice is decided once.
    producer: Any = AIOKafkaProducer(bootstrap_servers=bootstrap, client_id="winnow-cli", acks="all")
    try:
        with kafka_answering("Kafka did not confirm the record ({error})."):
            await producer.start()
            for record in records:
                await producer.send_and_wait(
                    record.topic,
                    record.body,
                    key=record.key,
                    partition=record.partition,
                    headers=list(record.headers),
                )
    finally:
        await producer.stop()


def record_of(topic: str, partition: int, document: Mapping[str, Any]) -> TopicRecord:
    """Read a record from the form that it is chained and archived in; raises KeyError, TypeError and ValueError."""
    key = document["key"]
    return TopicRecord(
        topic=topic,
        partition=partition,
        offset=document["offset"],
        timestamp_ms=document["timestamp_ms"],
        key=None if key is None else bytes_of(key),
        body=bytes_of(document["body"]),
        headers=tuple((name, bytes_of(value)) for name, value in document["headers"]),
    )


def _topic_record(record: Any) -> TopicRecord:
    return TopicRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp,
        key=record.key,
        body=record.value or b"",
        headers=tuple(record.headers),
    )
