"""`winnow audit archive`: what is new in the journals and the topics, into an archive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from winnow.audit.archiving import ArchiveWriter
from winnow.audit.blob_store import BlobStore
from winnow.audit.journal_reader import JournalReader
from winnow.audit.lanes import JOURNALS, RECORD_TOPICS, journal_lane, topic_lane
from winnow.audit.records import TopicReader, connected_consumer
from winnow.cli.audit_sources import document_of
from winnow.eventstore.model import Block
from winnow.runtime.clock import SystemClock

_LOST: Final = "{lane}: records {first} to {last} were deleted before they were archived"


@dataclass(frozen=True, slots=True)
class Archived:
    """Records that a run added; ``lost`` says which records it came too late for."""

    items_count: int
    segments_count: int
    manifests_count: int
    lost: tuple[str, ...]


async def archive_new(store: BlobStore, mongo_uri: str, kafka: str) -> Archived:
    """Archive what is new; raises BrokenArchive, NotArchived, Unavailable and CliError.

    Journals first, each to the newest block whose messages are on the bus, then the topics: so an event in an
    archived block is in the archived topic too. What an interrupted run has committed is not done again.
    """
    writer = await ArchiveWriter.on(store, SystemClock())
    before = writer.manifests_count
    await _journals(writer, mongo_uri)
    lost = await _topics(writer, kafka)
    await writer.finish()
    return Archived(writer.items_count, writer.segments_count, writer.manifests_count - before, tuple(lost))


async def _journals(writer: ArchiveWriter, mongo_uri: str) -> None:
    for producer, place in JOURNALS.items():
        async with JournalReader(mongo_uri, place.database, place.prefix) as journal:
            for shard in await journal.shards():
                lane = journal_lane(producer, shard)
                head = writer.head(lane)
                sent_to = await journal.sent_to(shard)
                async for document in journal.documents(shard, head.last if head else 0):
                    if document["block_no"] > sent_to and Block.from_document(document).has_messages:
                        break
                    await writer.add(lane, document)


async def _topics(writer: ArchiveWriter, kafka: str) -> list[str]:
    lost: list[str] = []
    async with connected_consumer(kafka) as consumer:
        topics = TopicReader(consumer, RECORD_TOPICS)
        await topics.begin()
        for (topic, partition), start in list(topics.next_offsets.items()):
            lane = topic_lane(topic, partition)
            head = writer.head(lane)
            wanted = head.last + 1 if head else start
            if start > wanted:
                lost.append(_LOST.format(lane=lane, first=wanted, last=start - 1))
            topics.next_offsets[topic, partition] = max(start, wanted)
        async for record in topics.read_on():
            await writer.add(topic_lane(record.topic, record.partition), document_of(record))
    return lost
