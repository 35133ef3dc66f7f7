"""The command line reads topics, on each bus."""

from __future__ import annotations

from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from winnow.audit.records import TopicReader, TopicRecord, connected_consumer, write
from winnow.contracts.errors import NotFound
from winnow.local.stack import Addresses

PARTITIONS = 3


async def test_every_partition_is_found_and_read_to_its_end(servers: Addresses) -> None:
    topic = f"records-{uuid4().hex}"
    admin = AIOKafkaAdminClient(bootstrap_servers=servers.kafka_bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    await admin.close()
    written = [
        TopicRecord(topic, partition, number, 0, b"key", b"%d" % number, (("type", b"x"),))
        for partition in range(PARTITIONS)
        for number in range(2)
    ]
    await write(servers.kafka_bootstrap, written)
    async with connected_consumer(servers.kafka_bootstrap) as consumer:
        those = TopicReader(consumer, ["records-absent", topic])
        await those.begin()
        assert those.next_offsets == {(topic, partition): 0 for partition in range(PARTITIONS)}
        found = [record async for record in those.read_on()]
        assert [record async for record in those.read_on()] == []
    places = [(record.partition, record.offset, record.body) for record in found]
    assert sorted(places) == [(record.partition, record.offset, record.body) for record in written]


async def test_a_topic_that_is_absent_is_said(servers: Addresses) -> None:
    async with connected_consumer(servers.kafka_bootstrap) as consumer:
        with pytest.raises(NotFound, match="There is no topic records-absent"):
            await TopicReader(consumer, ["records-absent"]).begin()
