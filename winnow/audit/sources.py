"""Sources of the record: topics and journals, as lanes whose items follow a chain. An archive is in `archive_source`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from functools import partial
from typing import Any, Final, Protocol

from winnow.adapters.mongo import Mongo, answering
from winnow.audit.chains import Chain
from winnow.audit.lanes import RECORD_TOPICS, journal_lane, part_of, shard_in, topic_lane
from winnow.audit.records import TopicReader, connected_consumer
from winnow.contracts.journals import JOURNALS, JournalLocation

_BLOCKS_AT_ONCE: Final = 200

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
    """The stored blocks of every shard of some journals as they lie there, unchecked; read as an outsider."""

    def __init__(self, collections: Mapping[str, Callable[[str], Any]]) -> None:
        """Read journals: the name of a producer → its collections by name."""
        self._collections = collections

    @classmethod
    @asynccontextmanager
    async def at(
        cls, mongo_uri: str, journals: Mapping[str, JournalLocation] = JOURNALS
    ) -> AsyncIterator[JournalSource]:
        """Open journals; they connect on first use."""
        collections: dict[str, Callable[[str], Any]] = {}
        with ExitStack() as opened:
            for producer, place in journals.items():
                mongo = opened.enter_context(closing(Mongo(mongo_uri, place.database)))
                collections[producer] = partial(_collection, mongo.database, place.prefix)
            yield cls(collections)

    async def lanes(self) -> AsyncIterator[str]:
        """Yield the shards of each journal; a journal is asked for them when those before it were read."""
        for producer, collection in self._collections.items():
            async with answering():
                shards = await collection("journal").distinct("shard")
            for shard in sorted(str(name) for name in shards):
                yield journal_lane(producer, shard)

    async def lane_items(self, chain: Chain) -> AsyncIterator[Item]:
        """Yield the blocks of a shard in the order of their numbers."""
        journal, shard = self._shard(chain.lane, "journal")
        after = chain.last
        while True:
            query = {"shard": shard, "block_no": {"$gt": after}}
            async with answering():
                found = journal.find(query, sort=[("block_no", 1)], limit=_BLOCKS_AT_ONCE)
                rows = await found.to_list(length=None)
            for row in rows:
                yield row
            if len(rows) < _BLOCKS_AT_ONCE:
                return
            after = rows[-1]["block_no"]

    async def sent_to(self, lane: str) -> int:
        """Return the newest block of a shard that is known to be on the bus with all before it; 0 for none."""
        (journal, shard), (folds, _) = self._shard(lane, "journal"), self._shard(lane, "folds")
        losses, _ = self._shard(lane, "bus_losses")
        async with answering():
            noted = await folds.find_one({"_id": shard})
            lost = await losses.find_one({"_id": shard})
            # What a block says of a bus that lost everything since counts no more.
            since = {"shard": shard, "block_no": {"$gt": (lost or {}).get("block_no", 0)}}
            head = await journal.find_one(since, {"sent_to": 1}, sort=[("block_no", -1)])
        return max(int((row or {}).get("sent_to", 0)) for row in (noted, head))

    def _shard(self, lane: str, name: str) -> tuple[Any, str]:
        return self._collections[part_of(lane)](name), shard_in(lane)


def _collection(database: Any, prefix: str, name: str) -> Any:
    return database[f"{prefix}{name}"]


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
