"""Workshop that rebuilds the stores of a service.

Folds its journals, reads its topics, says when something is lacking.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from winnow.audit.chains import UNREADABLE, Chain, chain_of
from winnow.audit.lanes import journal_lane, shard_in
from winnow.audit.records import TopicRecord, record_of
from winnow.audit.replay import BrokenChain, ShardFold
from winnow.audit.sources import Item, JournalSource, TopicSource
from winnow.audit.staging_database import StagingDatabase
from winnow.contracts.decider import Decider
from winnow.contracts.journals import JournalLocation
from winnow.eventstore import MongoJournalStore
from winnow.eventstore.model import S, state_format_of
from winnow.runtime.gc_tuning import rare_collections
from winnow.runtime.settings import ServiceSettings

if TYPE_CHECKING:
    from winnow.audit.archive_source import ArchiveSource

_STATES_AT_ONCE: Final = 500
_BLOCKS_AT_ONCE: Final = 100


class RebuildRefused(Exception):  # noqa: N818 (what became of it)
    """Nothing was changed; the text says why."""


class RebuildSession:
    """The journals and topics of one service, and the collections that are made of them."""

    def __init__(
        self, settings: ServiceSettings, name: str, database: StagingDatabase, archived: ArchiveSource | None
    ) -> None:
        """Read the archive first if there is one, then what the live database ``name`` has since."""
        self.settings = settings
        self.database: Any = database
        """For the stores: what is made again lies in the staging database, the rest is live."""
        self._name = name
        self._archived = archived
        self._journals: dict[str, str] = {}
        """Prefix of a folded journal → its producer."""
        self._chains: dict[str, Chain] = {}
        """Lane → its chain after the fold."""

    def shards(self) -> list[str]:
        """Name the shards that were folded."""
        return sorted({shard_in(lane) for lane in self._chains})

    async def folded(
        self, decider: Decider[S], *, prefix: str = "", everywhere: bool = False
    ) -> AsyncIterator[list[S]]:
        """Fold a journal into its states and keep them; yield those of a shard at a time. Raises BrokenChain."""
        store = MongoJournalStore(
            self.database,
            inputs_unique_everywhere=everywhere,
            prefix=prefix,
            state_format=state_format_of(decider),
            lists_finals=not decider.stores_finals,
        )
        await store.prepare()
        self._journals[prefix] = decider.producer
        async with self._journal(prefix) as journal:
            archived = self._archived.lanes_of(decider.producer) if self._archived is not None else ()
            for lane in sorted({*archived, *[lane async for lane in journal.lanes()]}):
                fold = ShardFold(decider, lane)
                with rare_collections():
                    archived_sent_to = await self._take(fold, journal, prefix)
                # What the live stores note is believed no further than the journal goes.
                sent_to = min(max(archived_sent_to, await journal.sent_to(lane)), fold.chain.last)
                if decider.stores_states:
                    await _keep(store, fold)
                await store.save([], {fold.shard: fold.chain.last}, {fold.shard: sent_to})
                self._chains[lane] = fold.chain
                yield fold.states()

    async def records(self, topics: Sequence[str]) -> AsyncIterator[TopicRecord]:
        """Yield every record of these topics, each partition in order.

        Raises RebuildRefused when the broker has deleted some that no archive holds, BrokenChain and Unavailable.
        """
        async with TopicSource.at(self.settings.kafka_bootstrap, topics) as live:
            chains = {lane: chain_of(lane) for lane in live.starts}
            for chain in chains.values():
                async for record in self._archived_items(chain):
                    yield _taken(chain, record)
                if live.starts[chain.lane] > chain.last + 1:
                    msg = f"{chain.lane}: the broker has deleted records {chain.last + 1} to {live.starts[chain.lane] - 1}"
                    raise RebuildRefused(f"{msg}, which only an archive can give back")
            async for chain, record in live.items(chains.__getitem__):
                yield _taken(chain, record)

    async def check(self, live: Any) -> None:
        """Raise RebuildRefused when what was folded is not all there was: ``live`` is the database as it stands.

        A chain does not show that its last blocks are gone; how far the live states were folded does.
        """
        if not self._chains:
            raise RebuildRefused("its journal is empty, so there is nothing to make the stores from")
        for prefix, producer in self._journals.items():
            async with self._journal(prefix) as journal:
                async for _ in journal.items(lambda lane: self._chains.get(lane) or chain_of(lane)):
                    raise RebuildRefused(f"somebody wrote to {prefix}journal meanwhile")
            async for row in live[f"{prefix}folds"].find():
                chain = self._chains.get(journal_lane(producer, row["_id"]))
                last = chain.last if chain is not None else 0
                # One number for each format that states were ever stored in.
                folded_to = max([0, *(value for name, value in row.items() if name.startswith("block_no"))])
                if folded_to > last:
                    msg = f"{prefix}journal ends at block {last} of shard {row['_id']}, and the live states were"
                    raise RebuildRefused(f"{msg} folded to block {folded_to}: blocks of the journal are lost")

    def _journal(self, prefix: str) -> AbstractAsyncContextManager[JournalSource]:
        place = JournalLocation(self._name, prefix)
        return JournalSource.at(self.settings.mongo_uri.get_secret_value(), {self._journals[prefix]: place})

    async def _take(self, fold: ShardFold[S], journal: JournalSource, prefix: str) -> int:
        """Fold a shard; from an archive its blocks are kept too, for the journal itself is made again then.

        Return the newest archived block with messages: only what is on the bus is archived.
        """
        blocks: list[Item] = []
        sent_to = 0
        async for block in self._archived_items(fold.chain):
            fold.take(block)
            sent_to = fold.chain.last if _has_messages(block) else sent_to
            await self._keep_block(prefix, blocks, block)
        async for block in journal.lane_items(fold.chain):
            fold.take(block)
            await self._keep_block(prefix, blocks, block)
        await self._keep_blocks(prefix, blocks)
        return sent_to

    async def _keep_block(self, prefix: str, blocks: list[Item], block: Item) -> None:
        if self._archived is not None:
            blocks.append(block)
        if len(blocks) >= _BLOCKS_AT_ONCE:
            await self._keep_blocks(prefix, blocks)

    async def _keep_blocks(self, prefix: str, blocks: list[Item]) -> None:
        if blocks:
            await self.database[f"{prefix}journal"].insert_many(blocks)
            blocks.clear()

    async def _archived_items(self, chain: Chain) -> AsyncIterator[Item]:
        if self._archived is not None:
            async for item in self._archived.lane_items(chain):
                yield item


async def _keep(store: MongoJournalStore, fold: ShardFold[Any]) -> None:
    entities = fold.entities()
    while some := list(islice(entities, _STATES_AT_ONCE)):
        await store.save([], {}, {}, some)
    states = fold.folded()
    for start in range(0, len(states), _STATES_AT_ONCE):
        await store.save(states[start : start + _STATES_AT_ONCE], {}, {})


def _has_messages(document: Item) -> bool:
    return any(entry["topic"] for decision in document["decisions"] for entry in decision["entries"])


def _taken(chain: Chain, document: Item) -> TopicRecord:
    """Take a record into its chain, and read it; raises BrokenChain."""
    chain.take(document)
    if chain.findings:
        raise BrokenChain(f"{chain.lane}: {chain.findings[0].text}")
    _, topic, partition = chain.lane.split("/")
    try:
        return record_of(topic, int(partition), document)
    except UNREADABLE as error:
        msg = f"{chain.lane}: the record of offset {chain.last} cannot be read"
        raise BrokenChain(msg) from error
