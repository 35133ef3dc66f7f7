"""Everything about Kafka: read batches, decode each record by itself, commit last, put poison aside."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker

from winnow.adapters.partitions import Consumed, Source
from winnow.adapters.sender import Sender
from winnow.contracts.envelope import Message, RecordedMessage
from winnow.contracts.topics import dead_letter_topic
from winnow.contracts.upcast import MessageRegistry, UnknownVersion, announced_version
from winnow.runtime import failpoints, metrics
from winnow.runtime.log import get_logger
from winnow.runtime.settings import ServiceSettings

_log = get_logger(__name__)
BUG_TRIES_MAX: Final = 5
_BACKOFF_MAX_S: Final = 30.0
_BATCH_WAIT_MS: Final = 200
_MAX_POLL_INTERVAL_S: Final = 300


@dataclass(frozen=True, slots=True)
class Received:
    """A record of a partition; ``recorded`` is None for one that this service has no use for."""

    offset: int
    recorded: RecordedMessage[Message] | None
    body: bytes


Handler = Callable[[Source, Sequence[Received]], Awaitable[Consumed]]
"""Handles one partition's records in order; says how far it got. It must not lose a record it passes over."""

Assigned = Callable[[Iterable[Source]], None]


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    def __init__(self, assigned: Assigned, revoked: Assigned) -> None:
        self._assigned = assigned
        self._revoked = revoked

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        self._assigned([Source(part.topic, part.partition) for part in assigned])

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        self._revoked([Source(part.topic, part.partition) for part in revoked])


class Bus:
    """One producer and at most one consumer of a process."""

    def __init__(self, settings: ServiceSettings, service: str) -> None:
        """Prepare the broker; nothing connects before ``start``."""
        self._settings = settings
        self._group = ""
        self._joined = False
        self._tries: dict[tuple[Source, int], int] = {}
        self._backoff_s = 0.1
        self._messages = MessageRegistry(())
        self._newer: set[tuple[str, int]] = set()
        self._handler: Handler | None = None
        self._client_id = f"winnow-{service}-{settings.instance}"
        self.broker = self._new_broker()
        self._sender = Sender(self.broker, self._new_broker)

    def _new_broker(self) -> KafkaBroker:
        settings = self._settings
        return KafkaBroker(
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
        self._group, self._messages, self._handler = group, messages, handler

        def joined(sources: Iterable[Source]) -> None:
            self._joined = True
            assigned(sources)

        subscriber = self.broker.subscriber(
            *topics,
            group_id=group,
            batch=True,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=self._settings.fetch_max_wait_ms,
            session_timeout_ms=self._settings.session_timeout_ms,
            heartbeat_interval_ms=self._settings.session_timeout_ms // 10,
            max_poll_interval_ms=_MAX_POLL_INTERVAL_S * 1000,
            listener=_Listener(joined, revoked),
            parser=_keep_readable_headers,
            decoder=_whole,
        )
        # FastStream rests as long again after a wait that brought nothing, and what comes meanwhile lies there.
        subscriber.get_msg = self._next_batch  # type: ignore[method-assign]
        subscriber(self._on_batch)

    async def _next_batch(self, consumer: Any) -> tuple[Any, ...]:
        """Return the records that have come, or nothing after the longest wait, so that a stop is seen."""
        records = await consumer.getmany(
            timeout_ms=_BATCH_WAIT_MS, max_records=self._settings.batch_records_max
        )
        return tuple(chain.from_iterable(records.values()))

    @property
    def joined(self) -> bool:
        """Return whether the group has given this process its partitions (or there is nothing to read)."""
        return self._joined or self._handler is None

    async def start(self, within_s: float = 60.0) -> None:
        """Connect, then wait for the group's partitions; raises KafkaError when the broker does not come in time.

        Joining has a limit of its own, TimeoutError: a rebalance lasts until its slowest member polls again.
        """
        loop = asyncio.get_running_loop()
        gives_up_at = loop.time() + within_s
        async with asyncio.timeout(within_s + _MAX_POLL_INTERVAL_S):
            while True:
                try:
                    return await self.broker.start()
                except KafkaError as error:
                    if loop.time() >= gives_up_at:
                        raise
                    _log.warning("bus.start.retried", error=type(error).__name__)
                    await asyncio.sleep(0.5)

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
        return await self._sender.send(topic, partition, key.encode(), body, headers)

    async def _on_batch(self, msg: Any) -> None:
        # FastStream passes over a batch whose handler raised, so nothing may leave this method.
        partitions: dict[TopicPartition, list[Any]] = defaultdict(list)
        raw: Any = msg.raw_message
        for record in raw:
            partitions[TopicPartition(record.topic, record.partition)].append(record)
        consumer: Any = msg.consumer
        try:
            await self._handle_all(consumer, partitions)
        except Exception as error:  # noqa: BLE001 (an edge room; every record is read again)
            _log.exception("bus.batch.failed", error=type(error).__name__)
            for partition, records in partitions.items():
                _seek(consumer, partition, records[0].offset)
            await asyncio.sleep(self._backoff_s)

    async def _handle_all(self, consumer: Any, partitions: Mapping[TopicPartition, Sequence[Any]]) -> None:
        results = await asyncio.gather(*(self._handle(*batch) for batch in partitions.items()))
        stuck = False
        commits: dict[TopicPartition, int] = {}
        for (partition, records), consumed in zip(partitions.items(), results, strict=True):
            next_offset = consumed.next_offset
            self._measure_lag(consumer, partition, next_offset)
            if next_offset > records[0].offset:
                commits[partition] = next_offset
            if consumed.held_for_s:
                _hold(consumer, partition, consumed)
            elif consumed.seek:
                # One that got on, if only by putting a record aside, is read again at once.
                stuck |= next_offset <= records[0].offset
                _seek(consumer, partition, next_offset)
        if commits:
            try:
                failpoints.reach("before_commit")
                await consumer.commit(commits)
                failpoints.reach("after_commit")
            except KafkaError as error:
                _log.warning("bus.commit.failed", error=type(error).__name__)
        if stuck:
            await asyncio.sleep(self._backoff_s)
            self._backoff_s = min(self._backoff_s * 2, _BACKOFF_MAX_S)
        else:
            self._backoff_s = 0.1

    async def _handle(self, partition: TopicPartition, records: Sequence[Any]) -> Consumed:
        """Handle one partition; return the offset to commit, whether to seek there, and for how long to pause."""
        source = Source(partition.topic, partition.partition)
        metrics.BUS_RECEIVED.labels(partition.topic).inc(len(records))
        handler = self._handler
        if handler is None:
            msg = "a batch came without a subscription"
            raise RuntimeError(msg)
        try:
            received = [await self._receive(record) for record in records]
            consumed = await handler(source, received)
            if consumed.failed is not None:
                return await self._failed(source, records, consumed)
        except Exception as error:  # noqa: BLE001 (an edge room; the partition is read again)
            metrics.BUS_HANDLER_FAILURES.inc()
            _log.exception(
                "bus.lane.failed", topic=source.topic, partition=source.partition, error=type(error).__name__
            )
            return Consumed(records[0].offset, seek=True)
        return consumed

    async def _receive(self, record: Any) -> Received:
        headers = dict(record.headers)
        kind = headers.get("type", b"").decode()
        body = record.value or b""
        if not self._messages.newest(kind):
            return Received(record.offset, None, body)
        try:
            recorded = self._messages.read(kind, body, announced_version(headers))
        except UnknownVersion as newer:
            self._skip(record, newer)
            return Received(record.offset, None, body)
        except ValueError as error:
            await self._dead_letter(record, "poison", type(error).__name__)
            return Received(record.offset, None, body)
        return Received(record.offset, recorded, body)

    def _skip(self, record: Any, newer: UnknownVersion) -> None:
        """Count a record of a newer version than this build knows; the log names each version once."""
        metrics.BUS_NEWER.labels(record.topic, newer.type_name).inc()
        seen = (newer.type_name, newer.version)
        if seen in self._newer:
            return
        self._newer.add(seen)
        _log.warning(
            "bus.record.newer_version_skipped",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            type=newer.type_name,
            version=newer.version,
            known=newer.newest,
        )

    async def _failed(self, source: Source, records: Sequence[Any], consumed: Consumed) -> Consumed:
        place = (source, consumed.next_offset)
        self._tries[place] = self._tries.get(place, 0) + 1
        error = type(consumed.failed).__name__
        _log.error(
            "bus.record.failed",
            topic=source.topic,
            partition=source.partition,
            offset=consumed.next_offset,
            tries=self._tries[place],
            error=error,
            exc_info=consumed.failed,
        )
        if self._tries[place] < BUG_TRIES_MAX or self._handler is None:
            return Consumed(consumed.next_offset, seek=True)
        record = next(candidate for candidate in records if candidate.offset == consumed.next_offset)
        await self._dead_letter(record, "bug", error)
        del self._tries[place]
        passed = await self._handler(source, [Received(record.offset, None, b"")])
        return Consumed(max(passed.next_offset, consumed.next_offset + 1), seek=True)

    async def _dead_letter(self, record: Any, reason: str, error: str) -> None:
        """Copy a record to the dead-letter topic with where it came from; never its text in a header."""
        metrics.BUS_DEAD_LETTERS.labels(record.topic, reason).inc()
        headers = {name: value.decode(errors="replace") for name, value in record.headers}
        headers |= {
            "dlq-topic": record.topic,
            "dlq-partition": str(record.partition),
            "dlq-offset": str(record.offset),
            "dlq-reason": reason,
            "dlq-error": error,
        }
        sent = await self._sender.send(
            dead_letter_topic(record.topic, self._group),
            record.partition,
            record.key,
            record.value or b"",
            headers,
        )
        await sent
        _log.error(
            "bus.record.dead_lettered",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=reason,
            error=error,
        )

    def _measure_lag(self, consumer: Any, partition: TopicPartition, next_offset: int) -> None:
        if partition not in consumer.assignment():
            return
        end = consumer.highwater(partition)
        if end is not None:
            metrics.BUS_LAG.labels(partition.topic, str(partition.partition)).set(max(0, end - next_offset))


def _seek(consumer: Any, partition: TopicPartition, offset: int) -> None:
    if partition in consumer.assignment():
        consumer.seek(partition, offset)


def _hold(consumer: Any, partition: TopicPartition, consumed: Consumed) -> None:
    """Read no more of one partition for a while; the others continue."""

    def resume() -> None:
        if partition in consumer.assignment():
            consumer.resume(partition)

    if partition in consumer.assignment():
        consumer.pause(partition)
        consumer.seek(partition, consumed.next_offset)
        asyncio.get_running_loop().call_later(consumed.held_for_s, resume)


async def _keep_readable_headers(batch: Any, original: Callable[[Any], Awaitable[Any]]) -> Any:
    """Drop headers that are not UTF-8, so that one of them cannot take the whole batch along."""
    return await original(tuple(raw if _all_text(raw.headers) else _readable(raw) for raw in batch))


def _all_text(headers: Iterable[tuple[str, bytes | None]]) -> bool:
    return all(_is_text(value) for _, value in headers)


def _readable(record: Any) -> Any:
    return dataclasses.replace(record, headers=tuple(pair for pair in record.headers if _is_text(pair[1])))


async def _whole(message: Any, _original: Callable[[Any], Awaitable[Any]]) -> Any:
    """Pass the message itself to the handler: decoding would drop a whole batch for one body that is not JSON."""
    return message


def _is_text(value: bytes | None) -> bool:
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return value is not None
