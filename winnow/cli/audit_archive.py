"""`winnow audit archive`: what is new in the journals and the topics, into an archive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from winnow.audit.archiving import ArchiveWriter
from winnow.audit.blob_store import BlobStore
from winnow.audit.sources import JournalSource, TopicSource
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

    Journals come first, each to the newest block whose messages are on the bus, then the topics. An event in
    an archived block is therefore in the archived topic too. What an interrupted run has committed is not
    done again.
    """
    writer = await ArchiveWriter.on(store, SystemClock())
    before = writer.manifests_count
    await _journals(writer, mongo_uri)
    lost = await _topics(writer, kafka)
    await writer.finish()
    return Archived(writer.items_count, writer.segments_count, writer.manifests_count - before, tuple(lost))


async def _journals(writer: ArchiveWriter, mongo_uri: str) -> None:
    async with JournalSource.at(mongo_uri) as journals:
        async for lane in journals.lanes():
            sent_to = await journals.sent_to(lane)
            async for block in journals.lane_items(writer.chain(lane)):
                if block["block_no"] > sent_to and Block.from_document(block).has_messages:
                    break
                await writer.add(lane, block)


async def _topics(writer: ArchiveWriter, kafka: str) -> list[str]:
    async with TopicSource.at(kafka) as topics:
        archived = {lane: writer.chain(lane).last for lane in topics.starts}
        lost = [
            _LOST.format(lane=lane, first=archived[lane] + 1, last=start - 1)
            for lane, start in topics.starts.items()
            if start > archived[lane] + 1 > 0
        ]
        async for chain, record in topics.items(writer.chain):
            await writer.add(chain.lane, record)
    return lost
