"""Where an audit reads: the topics, or the journals, each alone."""

from __future__ import annotations

from winnow.audit.lanes import JOURNALS, RECORD_TOPICS, journal_lane, record_document, topic_lane
from winnow.audit.verify import Verification
from winnow.cli.records import Reading, reading
from winnow.runtime.journal.reading import JournalReader


async def read_topics(kafka: str, verification: Verification) -> None:
    """Give every record of the two topics to a verification; raises Trouble when Kafka does not answer."""
    async with reading(kafka) as consumer:
        topics = Reading(consumer, RECORD_TOPICS)
        await topics.begin()
        for topic, partition in topics.next_offsets:
            verification.open(topic_lane(topic, partition))
        async for kept in topics.read_on():
            verification.take_record(
                topic_lane(kept.topic, kept.partition),
                record_document(
                    offset=kept.offset,
                    timestamp_ms=kept.timestamp_ms,
                    key=kept.key,
                    headers=kept.headers,
                    body=kept.body,
                ),
            )


async def read_journals(mongo_uri: str, verification: Verification) -> None:
    """Give every stored block of every journal to a verification; raises Unavailable."""
    for producer, place in JOURNALS.items():
        async with JournalReader(mongo_uri, place.database, place.prefix) as journal:
            for shard in await journal.shards():
                lane = journal_lane(producer, shard)
                verification.open(lane)
                async for document in journal.documents(shard):
                    verification.take_block(lane, document)
