"""Sources of an audit: the topics, or the journals, each alone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

from winnow.audit.journal_reader import JournalReader
from winnow.audit.lanes import JOURNALS, RECORD_TOPICS, journal_lane, record_document, topic_lane
from winnow.audit.records import TopicReader, TopicRecord, connected_consumer
from winnow.audit.verify import Result, Verification

_PAUSE_S: Final = 1.0


async def read_topics(kafka: str, verification: Verification) -> Result:
    """Verify the two topics; raises CliError when Kafka does not answer.

    An event and its counterpart in the other topic are not read at one moment, so while there are faults and new
    records come, it reads on and looks again.
    """
    async with connected_consumer(kafka) as consumer:
        topics = TopicReader(consumer, RECORD_TOPICS)
        await topics.begin()
        for topic, partition in topics.next_offsets:
            verification.open(topic_lane(topic, partition))
        while True:
            count = 0
            async for record in topics.read_on():
                count += 1
                verification.take_record(topic_lane(record.topic, record.partition), document_of(record))
            result = verification.close(datetime.now(UTC))
            if result.exit_code == 0 or count == 0:
                return result
            await asyncio.sleep(_PAUSE_S)


def document_of(record: TopicRecord) -> dict[str, Any]:
    """Return a record in the form that is chained and archived."""
    return record_document(
        offset=record.offset,
        timestamp_ms=record.timestamp_ms,
        key=record.key,
        headers=record.headers,
        body=record.body,
    )


async def read_journals(mongo_uri: str, verification: Verification) -> Result:
    """Verify every stored block of every journal; raises Unavailable."""
    for producer, place in JOURNALS.items():
        async with JournalReader(mongo_uri, place.database, place.prefix) as journal:
            for shard in await journal.shards():
                lane = journal_lane(producer, shard)
                verification.open(lane)
                async for document in journal.documents(shard):
                    verification.take_block(lane, document)
    return verification.close(datetime.now(UTC))
