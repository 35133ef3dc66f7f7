"""The end of a partition as the tests read it, on both brokers."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.support.ends import ends_of, records_of
from winnow.local.stack import Addresses


async def test_the_last_batch_is_read_to_its_last_record(servers: Addresses) -> None:
    at = servers.kafka_bootstrap
    topic = f"ends-{uuid4()}"
    lanes = [TopicPartition(topic, number) for number in range(2)]
    admin = AIOKafkaAdminClient(bootstrap_servers=at)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, len(lanes), 1)])
    finally:
        await admin.close()
    async with (
        AIOKafkaConsumer(bootstrap_servers=at, fetch_max_wait_ms=5) as consumer,
        AIOKafkaProducer(bootstrap_servers=at, linger_ms=50) as producer,
    ):
        assert await ends_of(consumer, lanes) == dict.fromkeys(lanes, 0)
        await asyncio.gather(
            *[await producer.send(topic, str(index).encode(), partition=1) for index in range(3)]
        )
        assert await ends_of(consumer, lanes) == {lanes[0]: 0, lanes[1]: 3}
        assert [record.value async for record in records_of(consumer, lanes)] == [b"0", b"1", b"2"]
