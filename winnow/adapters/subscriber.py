"""FastStream's broker as the bus uses it: a batch is read at once and handed over as it lies in the topic.

FastStream has no parameter for the class of a subscriber, so ``PromptBroker`` makes it as FastStream's factory does
(ADR 38).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Iterable
from itertools import chain
from typing import Any, cast

from aiokafka import ConsumerRebalanceListener
from faststream._internal.endpoint.subscriber.call_item import CallsCollection
from faststream.kafka import KafkaBroker
from faststream.kafka.broker.registrator import KafkaRegistrator
from faststream.kafka.configs import KafkaBrokerConfig
from faststream.kafka.schemas import Topic
from faststream.kafka.subscriber.config import KafkaSubscriberConfig, KafkaSubscriberSpecificationConfig
from faststream.kafka.subscriber.specification import KafkaSubscriberSpecification
from faststream.kafka.subscriber.usecase import BatchSubscriber

from winnow.adapters.pacing import PacedReader
from winnow.adapters.partitions import Source

Assigned = Callable[[Iterable[Source]], None]


@dataclasses.dataclass(frozen=True)
class PartitionListener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Reports the partitions that a consumer gets and loses."""

    assigned: Assigned
    revoked: Assigned

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Report new partitions."""
        self.assigned([Source(part.topic, part.partition) for part in assigned])

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """Report lost partitions."""
        self.revoked([Source(part.topic, part.partition) for part in revoked])


class PromptSubscriber(BatchSubscriber):
    """Batch subscriber that rests as its reader says, else not; FastStream's rests for as long as it waited."""

    reader: PacedReader | None = None

    async def get_msg(self, consumer: Any) -> tuple[Any, ...]:
        """Return the records that have come, or nothing after the longest wait, so that a stop is seen."""
        options: dict[str, Any] = {"timeout_ms": self.batch_timeout_ms, "max_records": self.max_records}
        reading = self.reader.getmany(consumer, **options) if self.reader else consumer.getmany(**options)
        return tuple(chain.from_iterable((await reading).values()))


class PromptBroker(KafkaBroker):
    """FastStream's broker, whose batch subscribers are prompt."""

    def subscriber(self, *topics: Any, **options: Any) -> Any:
        """Register a batch subscriber, which hands over the message itself; further options are the consumer's."""
        del options["batch"]
        config = cast("KafkaBrokerConfig", self.config)
        declared = [Topic.validate(topic) for topic in topics]
        calls: CallsCollection[Any] = CallsCollection()
        wait_ms, records_max = options.pop("batch_timeout_ms"), options.pop("max_records")
        reader = options.pop("reader")
        reading = KafkaSubscriberConfig(
            topics=declared,
            group_id=options.pop("group_id"),
            listener=options.pop("listener"),
            _outer_config=config,
            _ack_policy=options.pop("ack_policy"),
            connection_args=options,
        )
        shown = KafkaSubscriberSpecificationConfig(topics=declared, title_=None, description_=None)
        schema = KafkaSubscriberSpecification(_outer_config=config, calls=calls, specification_config=shown)
        subscriber = PromptSubscriber(reading, schema, calls, wait_ms, records_max)
        subscriber.reader = reader
        register = super(KafkaRegistrator, self).subscriber
        register(subscriber)
        return subscriber.add_call(parser_=_keep_readable_headers, decoder_=_whole, dependencies_=())


async def _keep_readable_headers(batch: Any, original: Callable[[Any], Awaitable[Any]]) -> Any:
    """Drop headers that are not UTF-8, so that one of them cannot take the whole batch along."""
    return await original(tuple(_readable(raw) for raw in batch))


def _readable(record: Any) -> Any:
    texts = tuple(pair for pair in record.headers if _is_text(pair[1]))
    return record if len(texts) == len(record.headers) else dataclasses.replace(record, headers=texts)


async def _whole(message: Any, _original: Callable[[Any], Awaitable[Any]]) -> Any:
    """Pass the message itself to the handler: decoding would drop a whole batch for one body that is not JSON."""
    return message


def _is_text(value: bytes | None) -> bool:
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return value is not None
