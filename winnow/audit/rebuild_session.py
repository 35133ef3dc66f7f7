"""Workshop that rebuilds the stores of a service.

Folds its journals, reads its topics, says when something is lacking.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from winnow.audit.chains import UNREADABLE, Chain, Head, RecordChain
from winnow.audit.journal_reader import JournalReader
from winnow.audit.lanes import journal_lane, topic_lane
from winnow.audit.records import TopicReader, TopicRecord, connected_consumer, record_of
from winnow.audit.replay import BrokenChain, ShardFold
from winnow.audit.staging_database import StagingDatabase
from winnow.contracts.decider import Decider
from winnow.eventstore import MongoJournalStore
from winnow.eventstore.model import S, state_format_of
from winnow.runtime.gc_tuning import rare_collections
from winnow.runtime.settings import ServiceSettings

if TYPE_CHECKING:
    from winnow.audit.archived import ArchivedRecord

_STATES_AT_ONCE: Final = 500
_BLOCKS_AT_ONCE: Final = 100


class RebuildRefused(Exception):  # noqa: N818 (what became of it)
    """Nothing was changed; the text says why."""


class RebuildSession:
    """The journals and topics of one service, and the collections that are made of them."""

    def __init__(
        self, settings: ServiceSettings, name: str, database: StagingDatabase, archived: ArchivedRecord | None
    ) -> None:
        """Read the archive first if there is one, then what the live database ``name`` has since."""
        self.settings = settings
        self.database: Any = database
        """For the stores: what is made again lies in the staging database, the rest is live."""
        self._name = name
        self._archived = archived
        self._heads: dict[tuple[str, str], Head] = {}

    def shards(self) -> list[str]:
        """Name the shards that were folded."""
        return sorted({shard for _, shard in self._heads})

    async def folded(
        self, decider: Decider[S], *, prefix: str = "", everywhere: bool = False
    ) -> AsyncIterator[list[S]]:
        """Fold a journal into its states and keep them; yield those of a shard at a time. Raises BrokenChain."""
        store = MongoJournalStore(
            self.database,
            inputs_unique_everywhere=everywhere,
            prefix=prefix,
            state_format=state_format_of(decider),
        )
        await store.prepare()
        async with self._journal(prefix) as journal:
            shards = {*await journal.shards()}
            if self._archived is not None:
                shards.update(self._archived.shards(decider.producer))
            for shard in sorted(shards):
                fold = ShardFold(decider, journal_lane(decider.producer, shard))
                with rare_collections():
                    archived_sent_to = await self._take(fold, journal, prefix)
                # What the live stores note is believed no further than the journal goes.
                sent_to = min(max(archived_sent_to, await journal.sent_to(shard)), fold.chain.last)
                if decider.stores_states:
                    await _keep(store, fold)
                await store.save([], {shard: fold.chain.last}, {shard: sent_to})
                self._heads[prefix, shard] = fold.chain.head
                yield fold.states()

    async def records(self, topics: Sequence[str]) -> AsyncIterator[TopicRecord]:
        """Yield every record of these topics, each partition in order.

        Raises RebuildRefused when the broker has deleted some that no archive holds, BrokenChain and Unavailable.
        """
        async with connected_consumer(self.settings.kafka_bootstrap) as consumer:
            live = TopicReader(consumer, topics)
            await live.begin()
            for (topic, partition), first in list(live.next_offsets.items()):
                chain = RecordChain(topic_lane(topic, partition))
                async for document in self._archived_items(chain):
                    chain.take(document)
                    _check_sound(chain)
                    yield _record(topic, partition, document, chain)
                if first > chain.last + 1:
                    msg = f"{chain.lane}: the broker has deleted records {chain.last + 1} to {first - 1}"
                    raise RebuildRefused(f"{msg}, which only an archive can give back")
                live.next_offsets[topic, partition] = chain.last + 1
            async for record in live.read_on():
                yield record

    async def check(self, live: Any) -> None:
        """Raise RebuildRefused when what was folded is not all there was: ``live`` is the database as it stands.

        A chain does not show that its last blocks are gone; how far the live states were folded does.
        """
        if not self._heads:
            raise RebuildRefused("its journal is empty, so there is nothing to make the stores from")
        for prefix in {prefix for prefix, _ in self._heads}:
            async with self._journal(prefix) as journal:
                for shard in await journal.shards():
                    async for _ in journal.documents(shard, self._last(prefix, shard)):
                        raise RebuildRefused(f"somebody wrote to {prefix}journal meanwhile")
            async for row in live[f"{prefix}folds"].find():
                last = self._last(prefix, row["_id"])
                # One number for each format that states were ever stored in.
                folded_to = max([0, *(value for name, value in row.items() if name.startswith("block_no"))])
                if folded_to > last:
                    msg = f"{prefix}journal ends at block {last} of shard {row['_id']}, and the live states were"
                    raise RebuildRefused(f"{msg} folded to block {folded_to}: blocks of the journal are lost")

    def _journal(self, prefix: str) -> JournalReader:
        return JournalReader(self.settings.mongo_uri.get_secret_value(), self._name, prefix)

    def _last(self, prefix: str, shard: str) -> int:
        head = self._heads.get((prefix, shard))
        return head.last if head else 0

    async def _take(self, fold: ShardFold[S], journal: JournalReader, prefix: str) -> int:
        """Fold a shard; from an archive its blocks are kept too, for the journal itself is made again then.

        Gives the newest archived block with messages: only what is on the bus is archived.
        """
        blocks: list[dict[str, Any]] = []
        sent_to = 0
        async for document in self._archived_items(fold.chain):
            fold.take(document)
            sent_to = fold.chain.last if _has_messages(document) else sent_to
            blocks.append(document)
            if len(blocks) >= _BLOCKS_AT_ONCE:
                await self._keep_blocks(prefix, blocks)
        async for document in journal.documents(fold.shard, fold.chain.last):
            fold.take(document)
            if self._archived is not None:
                blocks.append(document)
            if len(blocks) >= _BLOCKS_AT_ONCE:
                await self._keep_blocks(prefix, blocks)
        await self._keep_blocks(prefix, blocks)
        return sent_to

    async def _keep_blocks(self, prefix: str, blocks: list[dict[str, Any]]) -> None:
        if blocks:
            await self.database[f"{prefix}journal"].insert_many(blocks)
            blocks.clear()

    async def _archived_items(self, chain: Chain) -> AsyncIterator[dict[str, Any]]:
        if self._archived is not None:
            async for document in self._archived.items(chain):
                yield document


async def _keep(store: MongoJournalStore, fold: ShardFold[Any]) -> None:
    entities = fold.entities()
    while some := list(islice(entities, _STATES_AT_ONCE)):
        await store.save([], {}, {}, some)
    states = fold.folded()
    for start in range(0, len(states), _STATES_AT_ONCE):
        await store.save(states[start : start + _STATES_AT_ONCE], {}, {})


def _has_messages(document: Mapping[str, Any]) -> bool:
    return any(entry["topic"] for decision in document["decisions"] for entry in decision["entries"])


def _check_sound(chain: RecordChain) -> None:
    if chain.findings:
        msg = f"{chain.lane}: {chain.findings[0].text}"
        raise BrokenChain(msg)


def _record(topic: str, partition: int, document: Mapping[str, Any], chain: RecordChain) -> TopicRecord:
    try:
        return record_of(topic, partition, document)
    except UNREADABLE as error:
        msg = f"{chain.lane}: the record of offset {chain.last} cannot be read"
        raise BrokenChain(msg) from error
