"""The view of entries that statements are read from."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from pymongo import UpdateOne

from services.ledger.domain.books import StatementEntry
from winnow.adapters.mongo import UNSYNCED, answering, insert_new
from winnow.contracts.errors import Unavailable
from winnow.contracts.events import EntryRecorded
from winnow.contracts.ids import shard_of
from winnow.contracts.topics import REGISTRY
from winnow.contracts.upcast import UnknownVersion
from winnow.eventstore import Block

if TYPE_CHECKING:
    from motor.motor_asyncio import AsyncIOMotorDatabase

_BLOCKS_AT_ONCE: Final = 100
_ENTRIES_IN_BLOCK_MAX: Final = 1_000_000
"""A block holds at most 1,000 inputs, so its entries number far fewer; a place is block number and ordinal."""


class EntryView:
    """Entries by account, read from the journal's blocks: a view that can be dropped and is built again.

    Every write is idempotent and the view's place only grows, so any process may bring it up to date.
    """

    def __init__(self, database: AsyncIOMotorDatabase[Any], *, shards: int) -> None:
        """Use the database of the journal."""
        self._blocks = database["journal"]
        # The mark of how far was read follows, and takes along what is kept here.
        self._entries = database["entries"].with_options(write_concern=UNSYNCED)
        self._read_to = database["entries_read_to"]
        self._shards = shards
        self._one_at_a_time: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def prepare(self) -> None:
        """Create the index; may be repeated."""
        await self._entries.create_index([("account_id", 1), ("place", -1)], name="statement")

    @answering()
    async def page(self, account_id: str, *, limit: int, before: int | None) -> list[StatementEntry]:
        """Return entries of an account, newest first, up to the newest committed one; raises Unavailable."""
        query: dict[str, Any] = {"account_id": account_id}
        if before is not None:
            query["place"] = {"$lt": before}
        await self.catch_up(str(shard_of(account_id, self._shards)))
        rows = await self._entries.find(query, sort=[("place", -1)], limit=limit).to_list(length=None)
        return [_statement_entry(row) for row in rows]

    @answering()
    async def catch_up(self, shard: str) -> int:
        """Read what the shard's journal has since; return the number of entries. Raises Unavailable."""
        count = 0
        async with self._one_at_a_time[shard]:
            mark = await self._read_to.find_one({"_id": shard})
            read_to = int(mark["block_no"]) if mark else 0
            while True:
                query = {"shard": shard, "block_no": {"$gt": read_to}}
                rows = await self._blocks.find(query, sort=[("block_no", 1)], limit=_BLOCKS_AT_ONCE).to_list(
                    length=None
                )
                if not rows:
                    return count
                documents = [entry for row in rows for entry in _entries_of(Block.from_document(row))]
                read_to = rows[-1]["block_no"]
                await insert_new(self._entries, documents)
                step = UpdateOne({"_id": shard}, {"$max": {"block_no": read_to}}, upsert=True)
                await self._read_to.bulk_write([step])
                count += len(documents)


def _statement_entry(row: Mapping[str, Any]) -> StatementEntry:
    """Read a stored entry as its newest version; raises Unavailable for one that a newer build wrote."""
    try:
        recorded = REGISTRY.read(EntryRecorded.type_name(), json.dumps(row["recorded"]))
    except UnknownVersion as error:
        raise Unavailable(str(error)) from error
    return StatementEntry(
        row["place"], recorded.envelope.occurred_at, cast("EntryRecorded", recorded.message)
    )


def _entries_of(block: Block) -> Iterator[dict[str, Any]]:
    ordinal = 0
    for decision in block.decisions:
        for entry in decision.entries:
            if entry.type != EntryRecorded.type_name():
                continue
            document = entry.document()
            yield {
                "_id": document["entry_id"],
                "account_id": document["account_id"],
                "place": block.block_no * _ENTRIES_IN_BLOCK_MAX + ordinal,
                "recorded": document,
            }
            ordinal += 1
