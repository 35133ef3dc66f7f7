"""Sources of the record: topics and journals, as lanes whose items follow a chain. An archive is in `archive_source`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

from winnow.audit.chains import Chain
from winnow.audit.journal_reader import JournalReader
from winnow.audit.lanes import RECORD_TOPICS, journal_lane, topic_lane
from winnow.audit.records import TopicReader, connected_consumer
from winnow.contracts.journals import JOURNALS, JournalLocation

Item = dict[str, Any]
"""A stored block, or a record of a topic in the form that is chained and archived."""


class RecordSource(Protocol):
    """A record as lanes. Reading raises Unavailable when a server does not answer."""

    def items(self, chain_of: Callable[[str], Chain]) -> AsyncIterator[tuple[Chain, Item]]:
        """Yield what every lane holds after its chain, each lane in order, and ask for the chain of every lane.

        The reader takes each item into its chain before the next.
        """
        ...


class LaneSource(ABC):
    """A source whose lanes are read one after another."""

    @abstractmethod
    def lanes(self) -> AsyncIterator[str]:
        """Yield the names of the lanes."""

    @abstractmethod
    def lane_items(self, chain: Chain) -> AsyncIterator[Item]:
        """Yield what the lane of a chain holds after it; nothing for a lane that is not there."""

    async def items(self, chain_of: Callable[[str], Chain]) -> AsyncIterator[tuple[Chain, Item]]:
        """Yield the items of all lanes."""
        async for lane in self.lanes():
            chain = chain_of(lane)
            async for item in self.lane_items(chain):
                yield chain, item


class JournalSource(LaneSource):
    """The stored blocks of journals, unchecked."""

    def __init__(self, readers: Mapping[str, JournalReader]) -> None:
        """Read the journals by the names of their producers."""
        self._readers = readers

    @classmethod
    @asynccontextmanager
    async def at(
        cls, mongo_uri: str, journals: Mapping[str, JournalLocation] = JOURNALS
    ) -> AsyncIterator[JournalSource]:
        """Open journals; they connect on first use."""
        async with AsyncExitStack() as opened:
            readers = {
                producer: await opened.enter_async_context(
                    JournalReader(mongo_uri, place.database, place.prefix)
                )
                for producer, place in journals.items()
            }
            yield cls(readers)

    async def lanes(self) -> AsyncIterator[str]:
        """Yield the shards of each journal; a journal is asked for them when those before it were read."""
        for producer, reader in self._readers.items():
            for shard in await reader.shards():
                yield journal_lane(producer, shard)

    def lane_items(self, chain: Chain) -> AsyncIterator[Item]:
        """Yield the blocks of a shard."""
        _, producer, shard = chain.lane.split("/", 2)
        return self._readers[producer].documents(shard, chain.last)

    async def sent_to(self, lane: str) -> int:
        """Return the newest block of a shard that is known to be on the bus with all before it; 0 for none."""
        _, producer, shard = lane.split("/", 2)
        return await self._readers[producer].sent_to(shard)


class TopicSource:
    """The records of topics; each reading ends where the topics end by then."""

    def __init__(self, reader: TopicReader) -> None:
        """Read topics that were begun."""
        self._reader = reader
        self.starts = {topic_lane(*place): offset for place, offset in reader.next_offsets.items()}
        """Lane → the first offset that the broker still has."""

    @classmethod
    @asynccontextmanager
    async def at(cls, bootstrap: str, topics: Sequence[str] = RECORD_TOPICS) -> AsyncIterator[TopicSource]:
        """Open topics; raises NotFound when none of them exists."""
        async with connected_consumer(bootstrap) as consumer:
            reader = TopicReader(consumer, topics)
            await reader.begin()
            yield cls(reader)

    async def items(self, chain_of: Callable[[str], Chain]) -> AsyncIterator[tuple[Chain, Item]]:
        """Yield the records of all partitions as they come."""
        chains = {place: chain_of(topic_lane(*place)) for place in self._reader.next_offsets}
        for place, chain in chains.items():
            self._reader.next_offsets[place] = max(self._reader.next_offsets[place], chain.last + 1)
        async for record in self._reader.read_on():
            yield chains[record.topic, record.partition], record.document()
