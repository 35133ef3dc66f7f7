"""Messages that a neighbour of a running line writes and finds."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tests.support.ends import records_of
from tests.support.servers.line import RunningLine
from winnow.contracts.envelope import Envelope, Message, RecordedMessage
from winnow.contracts.ids import Prefix, derive_id, shard_of
from winnow.contracts.topics import MESSAGES, TASKS, route
from winnow.local.line import SHARDS

_numbers = itertools.count(1)


class Recorder:
    """Writes messages to the bus of a running line, and reads which are there."""

    def __init__(self, line: RunningLine) -> None:
        self._line = line

    async def write(self, *messages: Message) -> None:
        """Write messages as a neighbour of the line would, in order."""
        producer = AIOKafkaProducer(bootstrap_servers=self._line.kafka_bootstrap)
        await producer.start()
        try:
            for message in messages:
                to = route(message)
                assert to is not None
                number = next(_numbers)
                subject = str(getattr(message, "task_id", to[1]))
                envelope = Envelope(
                    event_id=derive_id(Prefix.event, "recorder", number),
                    occurred_at=datetime.now(UTC),
                    producer="recorder",
                    subject=subject,
                    sequence=0 if message.is_command else number,
                    correlation_id=f"req_recorder-{number}",
                    causation_id=f"recorder-{number}",
                )
                await producer.send_and_wait(
                    to[0],
                    RecordedMessage(envelope, message).encode(),
                    key=to[1].encode(),
                    partition=shard_of(to[1], SHARDS),
                    headers=[("type", message.type.encode())],
                )
        finally:
            await producer.stop()

    async def find(
        self, type_name: str, fits: Callable[[dict[str, Any]], bool], topic: str = TASKS.name
    ) -> Message:
        """Return the first message of a type on the topic that fits; raises LookupError."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self._line.kafka_bootstrap)
        await consumer.start()
        try:
            lanes = [TopicPartition(topic, index) for index in range(SHARDS)]
            async for record in records_of(consumer, lanes):
                if dict(record.headers).get("type") == type_name.encode():
                    document = json.loads(record.value)
                    if fits(document):
                        return MESSAGES[type_name].model_validate_json(record.value)
        finally:
            await consumer.stop()
        raise LookupError(type_name)
