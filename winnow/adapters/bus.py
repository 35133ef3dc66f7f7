"""Everything about Kafka: read batches, decode each record by itself, commit last, dead-letter what fails."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from aiokafka import TopicPartition
from faststream import AckPolicy

from winnow.adapters.kafka_errors import kafka_answering
from winnow.adapters.pacing import PacedReader
from winnow.adapters.partitions import Consumed, Source
from winnow.adapters.records import ConsumedRecord, RecordReader, place_of
from winnow.adapters.sender import Sender
from winnow.adapters.subscriber import Assigned, PartitionListener, PromptBroker
from winnow.contracts.errors import Unavailable
from winnow.contracts.upcast import MessageRegistry
from winnow.runtime import failpoints, metrics
from winnow.runtime.backoff import Backoff, until_available
from winnow.runtime.log import get_logger
from winnow.runtime.settings import ServiceSettings

_log = get_logger(__name__)
BUG_TRIES_MAX: Final = 5
_BACKOFF_MAX_S: Final = 30.0
_BATCH_WAIT_MS: Final = 200
_ANSWER_MS: Final = 30
_MAX_POLL_INTERVAL_S: Final = 300

Handler = Callable[[Source, Sequence[ConsumedRecord]], Awaitable[Consumed]]
"""Handles one partition's records in order; says how far it got. It must not lose a record it passes over."""


class _Reading(NamedTuple):
    records: RecordReader
    handler: Handler


class Bus:
    """One producer and at most one consumer of a process."""

    def __init__(self, settings: ServiceSettings, service: str) -> None:
        """Prepare the broker; nothing connects before ``start``."""
        self._settings = settings
        self._joined = False
        self._tries: dict[tuple[Source, int], int] = {}
        self._reading: _Reading | None = None
        self._client_id = f"winnow-{service}-{settings.instance}"
        self._backoff = Backoff(self._client_id, 0.2, _BACKOFF_MAX_S)
        pace = (settings.fetch_rest_ms / 1000, settings.fetch_max_wait_ms)
        self._reader = PacedReader(*pace) if settings.fetch_rest_ms else None
        self.broker = self._new_broker()
        self._sender = Sender(self.broker, self._new_broker)

    def _new_broker(self) -> PromptBroker:
        settings = self._settings
        return PromptBroker(
            # FastStream takes a text for one address, commas and all.
            settings.kafka_bootstrap.split(","),
            client_id=self._client_id,
            acks="all",
            enable_idempotence=settings.idempotent_producer,
            allow_auto_create_topics=False,
            request_timeout_ms=30_000,
            max_batch_size=262_144,
            graceful_timeout=settings.drain_timeout_s,
            logger=None,
            # FastStream injects by a thread for every batch; the handler needs nothing but the message.
            apply_types=False,
        )

    def subscribe(
        self,
        topics: Sequence[str],
        group: str,
        messages: MessageRegistry,
        handler: Handler,
        *,
        assigned: Assigned = lambda _: None,
        revoked: Assigned = lambda _: None,
    ) -> None:
        """Read topics as a group; ``messages`` knows the types and versions that are decoded, all others are skipped."""
        self._reading = _Reading(RecordReader(group, messages, self._sender), handler)

        def joined(sources: Iterable[Source]) -> None:
            self._joined = True
            assigned(sources)

        # Paced, a wait is one fetch; the rest comes after it.
        wait_ms = self._settings.fetch_max_wait_ms + _ANSWER_MS if self._reader else _BATCH_WAIT_MS
        subscriber = self.broker.subscriber(
            *topics,
            group_id=group,
            batch=True,
            batch_timeout_ms=wait_ms,
            reader=self._reader,
            max_records=self._settings.batch_records_max,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=self._settings.fetch_max_wait_ms,
            session_timeout_ms=self._settings.session_timeout_ms,
            heartbeat_interval_ms=self._settings.session_timeout_ms // 10,
            max_poll_interval_ms=_MAX_POLL_INTERVAL_S * 1000,
            listener=PartitionListener(joined, revoked),
        )
        subscriber(self._on_batch)

    @property
    def joined(self) -> bool:
        """Return whether the group has given this process its partitions (or there is nothing to read)."""
        return self._joined or self._reading is None

    async def start(self, within_s: float = 60.0) -> None:
        """Connect, then wait for the group's partitions; raises Unavailable when the broker does not come in time.

        Joining has a limit of its own, TimeoutError: a rebalance lasts until its slowest member polls again.
        """

        async def start() -> None:
            with kafka_answering():
                await self.broker.start()

        async with asyncio.timeout(within_s + _MAX_POLL_INTERVAL_S):
            await until_available(start, self._client_id, within_s, part="kafka")

    async def stop_reading(self) -> None:
        """Let the running batch end, then leave the group; what is still to be sent can be."""
        for subscriber in self.broker.subscribers:
            await subscriber.stop()

    async def stop(self) -> None:
        """Stop reading, and sending."""
        await self.broker.stop()
        await self._sender.stop()

    async def ping(self) -> bool:
        """Return whether the broker answers."""
        return await self.broker.ping(timeout=2.0)

    async def send(
        self, topic: str, partition: int, key: str, body: bytes, headers: dict[str, str]
    ) -> asyncio.Future[object]:
        """Hand a message over; the future ends when every replica in sync has it. A failed one is unknown."""
        if self._reader is not None:
            self._reader.expect()
        return await self._sender.send(topic, partition, key.encode(), body, headers)

    async def _on_batch(self, msg: Any) -> None:
        # FastStream passes over a batch whose handler raised, so nothing may leave this method.
        partitions: dict[TopicPartition, list[Any]] = defaultdict(list)
        for record in msg.raw_message:
            partitions[TopicPartition(record.topic, record.partition)].append(record)
        consumer: Any = msg.consumer
        try:
            results = await asyncio.gather(*(self._handle(*batch) for batch in partitions.items()))
            await self._commit(consumer, partitions, results)
        except Exception as error:  # noqa: BLE001 (an edge room; every record is read again)
            _log.exception("bus.batch.failed", error=type(error).__name__)
            for partition, records in partitions.items():
                _seek(consumer, partition, records[0].offset)
            await asyncio.sleep(self._backoff.next_s())

    async def _handle(self, partition: TopicPartition, records: Sequence[Any]) -> Consumed:
        """Handle one partition; return the offset to commit, whether to seek there, and for how long to pause."""
        source = Source(partition.topic, partition.partition)
        metrics.BUS_RECEIVED.labels(partition.topic).inc(len(records))
        if self._reading is None:
            raise RuntimeError("a batch came without a subscription")
        reader, handler = self._reading
        try:
            read = [await reader.read(record) for record in records]
            if self._reader is not None:
                known = (record.recorded for record in read if record.recorded is not None)
                self._reader.note_requests(recorded.envelope.correlation_id for recorded in known)
            consumed = await handler(source, read)
            if consumed.failed is not None:
                return await self._failed(self._reading, source, records, consumed)
        except Exception as error:  # noqa: BLE001 (an edge room; the partition is read again)
            metrics.BUS_HANDLER_FAILURES.inc()
            _log.exception(
                "bus.lane.failed", topic=source.topic, partition=source.partition, error=type(error).__name__
            )
            return Consumed(records[0].offset, seek=True)
        return consumed

    async def _commit(
        self, consumer: Any, partitions: Mapping[TopicPartition, Sequence[Any]], results: Sequence[Consumed]
    ) -> None:
        """Commit what is handled, and seek or pause where the rest is to be read again."""
        stuck = False
        commits: dict[TopicPartition, int] = {}
        for (partition, records), consumed in zip(partitions.items(), results, strict=True):
            next_offset = consumed.next_offset
            _measure_lag(consumer, partition, next_offset)
            if next_offset > records[0].offset:
                commits[partition] = next_offset
            if consumed.held_for_s:
                self._hold(consumer, partition, consumed)
            elif consumed.seek:
                # A partition that got on, if only by a dead letter, is read again at once.
                stuck |= next_offset <= records[0].offset
                _seek(consumer, partition, next_offset)
        if commits:
            try:
                failpoints.reach("before_commit")
                with kafka_answering():
                    await consumer.commit(commits)
                failpoints.reach("after_commit")
            except Unavailable as error:
                _log.warning("bus.commit.failed", error=type(error.__cause__).__name__)
        if stuck:
            await asyncio.sleep(self._backoff.next_s())
        else:
            self._backoff.reset()

    async def _failed(
        self, reading: _Reading, source: Source, records: Sequence[Any], consumed: Consumed
    ) -> Consumed:
        """Count a failed record; after ``BUG_TRIES_MAX`` tries it is dead-lettered and passed over."""
        place = (source, consumed.next_offset)
        tries = self._tries[place] = self._tries.get(place, 0) + 1
        record = next(candidate for candidate in records if candidate.offset == consumed.next_offset)
        error = type(consumed.failed).__name__
        _log.error(
            "bus.record.failed", **place_of(record), tries=tries, error=error, exc_info=consumed.failed
        )
        if tries < BUG_TRIES_MAX:
            return Consumed(consumed.next_offset, seek=True)
        await reading.records.dead_letter(record, "bug", error)
        del self._tries[place]
        passed = await reading.handler(source, [ConsumedRecord(record.offset, None, b"")])
        return Consumed(max(passed.next_offset, consumed.next_offset + 1), seek=True)

    def _hold(self, consumer: Any, partition: TopicPartition, consumed: Consumed) -> None:
        """Read no more of one partition for a while; the others continue."""

        def resume() -> None:
            if self._reader is not None:
                self._reader.held.discard(partition)
            elif partition in consumer.assignment():
                consumer.resume(partition)

        if partition in consumer.assignment():
            if self._reader is not None:
                self._reader.held.add(partition)
            consumer.pause(partition)
            consumer.seek(partition, consumed.next_offset)
            asyncio.get_running_loop().call_later(consumed.held_for_s, resume)


def _measure_lag(consumer: Any, partition: TopicPartition, next_offset: int) -> None:
    end = consumer.highwater(partition) if partition in consumer.assignment() else None
    if end is not None:
        metrics.BUS_LAG.labels(partition.topic, str(partition.partition)).set(max(0, end - next_offset))


def _seek(consumer: Any, partition: TopicPartition, offset: int) -> None:
    if partition in consumer.assignment():
        consumer.seek(partition, offset)
