"""The view of entries that statements are read from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
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
NOTED_EVERY: Final = 500
"""Blocks and decisions of a shard after which its mark moves; what came since is read again after a kill."""
_ENTRIES_IN_BLOCK_MAX: Final = 1_000_000
"""A block holds at most 1,000 inputs, so its entries number far fewer; a place is block number and ordinal."""


class EntryView:
    """Entries by account, in the order of the journal's blocks: a view that can be dropped and is built again.

    A shard's mark says up to which block it is kept. The mark moves seldom and only forward, and every write is
    idempotent, so any process may bring the view up to date.
    """

    def __init__(self, database: AsyncIOMotorDatabase[Any], *, shards: int) -> None:
        """Use the database of the journal."""
        self._blocks = database["journal"]
        self._entries = database["entries"]
        # A later write follows, and takes along what is kept here.
        self._followed = self._entries.with_options(write_concern=UNSYNCED)
        self._marks = database["entries_read_to"]
        self._shards = shards
        self._kept_to: dict[str, int] = {}
        self._unnoted: Counter[str] = Counter()

    async def prepare(self) -> None:
        """Create the indexes; may be repeated."""
        await self._entries.create_index([("account_id", 1), ("place", -1)], name="statement")
        await self._entries.create_index([("recorded.task_id", 1)], name="by_task")

    @answering()
    async def page(self, account_id: str, *, limit: int, before: int | None) -> list[StatementEntry]:
        """Return entries of an account, newest first, up to the newest committed one; raises Unavailable."""
        rows = {row["_id"]: row for row in await self._not_kept(account_id)}
        rows = {key: row for key, row in rows.items() if before is None or row["place"] < before}
        places = {} if before is None else {"$lt": before}
        rows |= {row["_id"]: row for row in await self._kept(account_id, places, limit)}
        newest = sorted(rows.values(), key=itemgetter("place"), reverse=True)
        return [_statement_entry(row) for row in newest[:limit]]

    @answering()
    async def newest(self, account_id: str, *, limit: int, after: str) -> list[StatementEntry]:
        """Return entries of an account by block, newest first, and by id within a block; raises Unavailable.

        Nothing follows an entry ``after`` that the account does not have. The entries of a block have one time.
        """
        not_kept = await self._not_kept(account_id)
        rows = {row["_id"]: row for row in not_kept}
        last = await self._row(account_id, after, not_kept) if after else None
        if after and last is None:
            return []
        below: dict[str, int] = {}
        if last is not None:
            first_place = _block_no(last) * _ENTRIES_IN_BLOCK_MAX
            in_block = {"$gte": first_place, "$lt": first_place + _ENTRIES_IN_BLOCK_MAX}
            rows |= {row["_id"]: row for row in await self._kept(account_id, in_block)}
            below = {"$lt": first_place}
        kept = await self._kept(account_id, below, limit)
        if len(kept) == limit:
            cut = {"$gte": _block_no(kept[-1]) * _ENTRIES_IN_BLOCK_MAX, "$lt": kept[-1]["place"]}
            kept += await self._kept(account_id, cut)
        rows |= {row["_id"]: row for row in kept}
        found = [row for row in rows.values() if last is None or _listed_at(row) < _listed_at(last)]
        return [_statement_entry(row) for row in sorted(found, key=_listed_at, reverse=True)[:limit]]

    @answering()
    async def of_task(self, account_id: str, task_id: str) -> list[StatementEntry]:
        """Return the entries about a task, in order; raises Unavailable."""
        not_kept = await self._not_kept(account_id)
        rows = {row["_id"]: row for row in not_kept if row["recorded"].get("task_id") == task_id}
        query = {"recorded.task_id": task_id, "account_id": account_id}
        rows |= {row["_id"]: row for row in await self._entries.find(query).to_list(length=None)}
        return [_statement_entry(row) for row in sorted(rows.values(), key=itemgetter("place"))]

    @answering()
    async def find(self, account_id: str, entry_id: str) -> StatementEntry | None:
        """Return an entry, None while none is committed; raises Unavailable."""
        row = await self._row(account_id, entry_id, await self._not_kept(account_id))
        return _statement_entry(row) if row else None

    async def _row(
        self, account_id: str, entry_id: str, not_kept: Sequence[Mapping[str, Any]]
    ) -> Mapping[str, Any] | None:
        found = next((row for row in not_kept if row["_id"] == entry_id), None)
        return found or await self._entries.find_one({"_id": entry_id, "account_id": account_id})

    async def _kept(self, account_id: str, places: Mapping[str, int], limit: int = 0) -> list[dict[str, Any]]:
        query = {"account_id": account_id} | ({"place": places} if places else {})
        cursor = self._entries.find(query, sort=[("place", -1)], limit=limit)
        rows: list[dict[str, Any]] = await cursor.to_list(length=None)
        return rows

    async def _not_kept(self, account_id: str) -> list[dict[str, Any]]:
        """Return the account's entries in blocks after its shard's mark, which may not be kept yet."""
        shard = str(shard_of(account_id, self._shards))
        query = {
            "shard": shard,
            "block_no": {"$gt": await self._mark(shard)},
            "decisions.aggregate_id": account_id,
        }
        blocks = await self._blocks_of(query)
        return [row for block in blocks for row in _rows_of(block) if row["account_id"] == account_id]

    async def _blocks_of(self, query: Mapping[str, Any], limit: int = 0) -> list[Block]:
        cursor = self._blocks.find(query, sort=[("block_no", 1)], limit=limit)
        return [Block.from_document(row) for row in await cursor.to_list(length=None)]

    async def _mark(self, shard: str) -> int:
        mark = await self._marks.find_one({"_id": shard})
        return max(int(mark["block_no"]) if mark else 0, self._kept_to.get(shard, 0))

    @answering()
    async def add(self, blocks: Sequence[Block]) -> set[str]:
        """Keep the entries of committed blocks, in their order; return the shards that lack an earlier block.

        Those are to be read back. Raises Unavailable.
        """
        kept_to, lacking = dict(self._kept_to), set()
        rows: list[dict[str, Any]] = []
        for block in blocks:
            before = kept_to.get(block.shard)
            if before is None or block.block_no > before + 1:
                lacking.add(block.shard)
            elif block.block_no == before + 1:
                kept_to[block.shard] = block.block_no
                rows += _rows_of(block)
                self._unnoted[block.shard] += 1 + len(block.decisions)
        await insert_new(self._followed, rows[:-1])
        await insert_new(self._entries, rows[-1:])
        self._kept_to = kept_to
        due = [shard for shard, count in self._unnoted.items() if count >= NOTED_EVERY]
        await self._move_marks({shard: kept_to[shard] for shard in due})
        return lacking

    @answering()
    async def catch_up(self, shard: str) -> int:
        """Read what the shard's journal has since; return the number of entries. Raises Unavailable."""
        count, kept_to = 0, await self._mark(shard)
        query = {"shard": shard, "block_no": {"$gt": kept_to}}
        while blocks := await self._blocks_of(query, _BLOCKS_AT_ONCE):
            rows = [row for block in blocks for row in _rows_of(block)]
            await insert_new(self._followed, rows)
            kept_to = blocks[-1].block_no
            await self._move_marks({shard: kept_to})
            count += len(rows)
            query["block_no"] = {"$gt": kept_to}
        self._kept_to[shard] = kept_to
        return count

    @answering()
    async def note(self) -> None:
        """Move the marks to where the shards are kept; raises Unavailable."""
        await self._move_marks({shard: self._kept_to[shard] for shard in self._unnoted})

    async def _move_marks(self, kept_to: Mapping[str, int]) -> None:
        steps = [
            UpdateOne({"_id": shard}, {"$max": {"block_no": block_no}}, upsert=True)
            for shard, block_no in kept_to.items()
        ]
        if steps:
            await self._marks.bulk_write(steps, ordered=False)
        for shard in kept_to:
            self._unnoted.pop(shard, None)


def _statement_entry(row: Mapping[str, Any]) -> StatementEntry:
    """Read a stored entry as its newest version; raises Unavailable for one that a newer build wrote."""
    try:
        recorded = REGISTRY.read(EntryRecorded.type_name(), json.dumps(row["recorded"]))
    except UnknownVersion as error:
        raise Unavailable(str(error)) from error
    return StatementEntry(
        row["place"], recorded.envelope.occurred_at, cast("EntryRecorded", recorded.message)
    )


def _block_no(row: Mapping[str, Any]) -> int:
    return int(row["place"]) // _ENTRIES_IN_BLOCK_MAX


def _listed_at(row: Mapping[str, Any]) -> tuple[int, str]:
    return _block_no(row), row["_id"]


def _rows_of(block: Block) -> Iterator[dict[str, Any]]:
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
