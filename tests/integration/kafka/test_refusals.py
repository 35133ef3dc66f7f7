"""A message that the broker refuses fails by itself; those after it are written."""

from __future__ import annotations

from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import MessageSizeTooLargeError, OutOfOrderSequenceNumber

from tests.integration.kafka.load import bus_of
from tests.support.eventually import eventually
from tests.support.servers.kafka.cluster import KafkaCluster

SIZE_MAX_BYTES = 1000


async def test_a_refused_message_does_not_end_the_writing(cluster: KafkaCluster) -> None:
    """The refused one leaves a gap in the producer's count, for which the broker refuses all that follow."""
    topic = f"refusals-{uuid4().hex}"
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    await admin.start()
    limits = {"max.message.bytes": str(SIZE_MAX_BYTES)}
    await admin.create_topics([NewTopic(topic, 1, 3, topic_configs=limits)])
    await admin.close()
    bus = bus_of(cluster.bootstrap, "refusals")
    await bus.start()
    try:
        for turn in range(3):
            await (await bus.send(topic, 0, "key", b"small", {}))
            with pytest.raises(MessageSizeTooLargeError):
                await (await bus.send(topic, 0, "key", b"x" * 2 * SIZE_MAX_BYTES, {}))
            refused = 0

            async def is_written() -> bool:
                nonlocal refused
                try:
                    await (await bus.send(topic, 0, "key", b"small", {}))
                except OutOfOrderSequenceNumber:
                    refused += 1
                    return False
                return True

            await eventually(is_written, within_s=30)
            assert refused <= 1, f"turn {turn}"
    finally:
        await bus.stop()
