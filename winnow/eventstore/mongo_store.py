"""The journal in MongoDB: collections of blocks, states and entities in the service's own database."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pymongo import ReplaceOne, UpdateOne

from winnow.adapters.mongo import UNSYNCED, Duplicate, answering, duplicates_of, insert_new
from winnow.contracts.errors import Unavailable
from winnow.eventstore.entities import StoredEntity
from winnow.eventstore.model import Block, Decision, Snapshot, content_fingerprint, decision_from_document
from winnow.eventstore.store import CommitResult
from winnow.runtime import metrics
from winnow.runtime.backoff import Backoff
from winnow.runtime.log import get_logger

if TYPE_CHECKING:
    from motor.motor_asyncio import AsyncIOMotorDatabase

_log = get_logger(__name__)
_BACKOFF_FIRST_S = 0.1
_BACKOFF_MAX_S = 5.0
_READ_BATCH = 200


class MongoJournalStore:
    """The journal in MongoDB. With ``inputs_unique_everywhere`` an input is unique over all shards."""

    def __init__(
        self,
        database: AsyncIOMotorDatabase[Any],
        *,
        inputs_unique_everywhere: bool = False,
        prefix: str = "",
        state_format: int = 1,
        lists_finals: bool = False,
    ) -> None:
        """Use a database handle whose write concern is majority with journal; ``prefix`` names the collections.

        States of another ``state_format`` lie in a collection of their own and are not read. A shard that has
        none of this format is folded from its first block. With ``lists_finals``, one index of ids finds both.
        """
        suffix = "" if state_format == 1 else f"_{state_format}"
        self._folded_to = f"block_no{suffix}"
        self._blocks = database[f"{prefix}journal"]
        # The folds are noted after the states and take them along.
        self._states = database[f"{prefix}state{suffix}"].with_options(write_concern=UNSYNCED)
        self._entities = database[f"{prefix}entities{suffix}"].with_options(write_concern=UNSYNCED)
        self._folds = database[f"{prefix}folds"]
        self._losses = database[f"{prefix}bus_losses"]
        self._everywhere = inputs_unique_everywhere
        self._lists = lists_finals

    async def prepare(self) -> None:
        """Create the indexes; may be repeated."""
        await self._blocks.create_index([("shard", 1), ("block_no", 1)], unique=True, name="chain")
        within = [] if self._everywhere else [("shard", 1)]
        await self._blocks.create_index([*within, ("causes", 1)], unique=True, name="cause_once")
        await self._states.create_index([("shard", 1), ("is_final", 1)], name="open")
        if self._lists:
            await self._states.create_index([("ids", 1)], name="ids")

    async def insert(self, blocks: Sequence[Block]) -> dict[str, CommitResult]:
        """Commit blocks; an insert whose answer is lost is looked up, never repeated blindly."""
        documents = [block.to_document() for block in blocks]
        backoff = Backoff(blocks[0].block_id, _BACKOFF_FIRST_S, _BACKOFF_MAX_S)
        while True:
            try:
                async with answering():
                    if len(documents) == 1:
                        await self._blocks.insert_one(documents[0])
                    else:
                        await self._blocks.insert_many(documents, ordered=False)
                return {block.shard: CommitResult.committed for block in blocks}
            except Duplicate:
                pass
            except Unavailable as error:
                await _wait("journal.insert.retried", error, backoff)
            results = await self._results_of(blocks)
            if results is not None:
                return results

    async def _results_of(self, blocks: Sequence[Block]) -> dict[str, CommitResult] | None:
        """Look up what became of each block; None when one of them is absent and may be tried again."""
        ids = [block.block_id for block in blocks]
        found = {
            row["_id"]: row["hash"]
            for row in await self._read(self._blocks, {"_id": {"$in": ids}}, {"hash": 1})
        }
        results: dict[str, CommitResult] = {}
        for block in blocks:
            stored = found.get(block.block_id)
            if stored == block.hash:
                results[block.shard] = CommitResult.committed
            elif stored is not None:
                results[block.shard] = CommitResult.fenced
            elif await self.known_inputs(block.shard, [decision.input_id for decision in block.decisions]):
                results[block.shard] = CommitResult.input_known
            else:
                return None
        return results

    async def head(self, shard: str) -> Block | None:
        """Return the newest block of a shard; of one before a loss of the bus, without what it knew of that bus."""
        rows = await self._read(self._blocks, {"shard": shard}, sort=[("block_no", -1)], limit=1)
        if not rows:
            return None
        head = Block.from_document(rows[0])
        losses = await self._read(self._losses, {"_id": shard})
        if losses and head.block_no <= losses[0]["block_no"]:
            return replace(head, offsets={}, sent_to=0)
        return head

    @answering()
    async def forget_bus(self) -> None:
        """Note that the bus lost all it held: offsets known so far mean nothing, and no block so far is on it.

        May be repeated. No owner may be running. Raises Unavailable.
        """
        for shard in await self._blocks.distinct("shard"):
            head = await self.head(shard)
            if head is not None:
                loss = {"$set": {"block_no": head.block_no}}
                await self._losses.update_one({"_id": shard}, loss, upsert=True)
        await self._folds.update_many({}, {"$set": {"sent_to": 0}})

    async def blocks_after(self, shard: str, block_no: int, *, limit: int = 0) -> list[Block]:
        """Return the blocks of a shard after ``block_no``, in order; at most ``limit`` of them unless it is 0."""
        query = {"shard": shard, "block_no": {"$gt": block_no}}
        rows = await self._read(self._blocks, query, sort=[("block_no", 1)], limit=limit)
        return [Block.from_document(row) for row in rows]

    async def decided_after(self, shard: str, block_no: int, aggregate_id: str) -> list[tuple[int, Decision]]:
        """Return what was decided for an aggregate after ``block_no``, in order."""
        query = {"shard": shard, "block_no": {"$gt": block_no}, "decisions.aggregate_id": aggregate_id}
        return [
            (row["block_no"], decision_from_document(decision))
            for row in await self._read(self._blocks, query, sort=[("block_no", 1)])
            for decision in row["decisions"]
            if decision["aggregate_id"] == aggregate_id
        ]

    async def sent_to(self, shard: str) -> int:
        """Return how far a shard is sent: as noted with its states or, where that is lost, in its newest block."""
        head = await self.head(shard)
        rows = await self._read(self._folds, {"_id": shard})
        return max(head.sent_to if head else 0, rows[0].get("sent_to", 0) if rows else 0)

    async def unsent(self, shard: str) -> list[Block]:
        """Return the blocks whose messages may not have reached the bus, in order."""
        later = await self.blocks_after(shard, await self.sent_to(shard))
        return [block for block in later if block.has_messages]

    async def known_inputs(self, shard: str, input_ids: Sequence[str]) -> dict[str, Decision]:
        """Return the decisions taken for these inputs."""
        within = {} if self._everywhere else {"shard": shard}
        query: dict[str, Any] = {"causes": {"$in": list(input_ids)}, **within}
        wanted = set(input_ids)
        return {
            decision["cause_id"]: decision_from_document(decision)
            for row in await self._read(self._blocks, query, {"decisions": 1})
            for decision in row["decisions"]
            if decision["cause_id"] in wanted
        }

    async def folded_to(self, shard: str) -> int:
        """Return the block up to which every state of the shard is kept; 0 for none."""
        rows = await self._read(self._folds, {"_id": shard})
        return int(rows[0].get(self._folded_to, 0)) if rows else 0

    async def states(self, aggregate_ids: Iterable[str]) -> dict[str, Snapshot]:
        """Return the newest snapshots by aggregate; of a final state that was never stored, without text."""
        ids = list(aggregate_ids)
        query = {"ids" if self._lists else "_id": {"$in": ids}}
        rows = await self._read(self._states, query) if ids else []
        rows.sort(key=lambda row: (row["block_no"], "state" in row))
        found = {snapshot.aggregate_id: snapshot for row in rows for snapshot in _snapshots(row)}
        return {key: found[key] for key in ids if key in found}

    async def open_states(self, shard: str) -> list[Snapshot]:
        """Return the snapshots of a shard that are not final."""
        rows = await self._read(self._states, {"shard": shard, "is_final": False})
        # The save of a slow owner may have stored a state that another owner has listed as final.
        newest = (
            (await self.states(row["_id"] for row in rows)).values() if self._lists else map(_snapshot, rows)
        )
        return [snapshot for snapshot in newest if not snapshot.is_final]

    async def entities(self, entity_ids: Iterable[str]) -> dict[str, StoredEntity]:
        """Return stored entities by id."""
        ids = list(entity_ids)
        rows = await self._read(self._entities, {"_id": {"$in": ids}}) if ids else []
        return {row["_id"]: _entity(row) for row in rows}

    @answering()
    async def save(
        self,
        states: Sequence[Snapshot],
        folded_to: Mapping[str, int],
        sent_to: Mapping[str, int],
        entities: Sequence[StoredEntity] = (),
    ) -> None:
        """Keep entities, then states, then how far shards are folded and on the bus."""
        if entities:
            # Most are new, and an entity seldom changes again: the insert itself tells which are there.
            taken = await insert_new(self._entities, [_entity_row(entity) for entity in entities])
            await _replace_older(self._entities, taken)
        if states:
            await self._save_states(states)
        steps = {shard: {self._folded_to: block_no} for shard, block_no in folded_to.items()}
        for shard, block_no in sent_to.items():
            steps.setdefault(shard, {})["sent_to"] = block_no
        writes = [UpdateOne({"_id": shard}, {"$max": step}, upsert=True) for shard, step in steps.items()]
        if writes:
            await self._folds.bulk_write(writes, ordered=False)

    async def _save_states(self, states: Sequence[Snapshot]) -> None:
        new = [self._row(state) for state in states if state.state and state.is_new]
        older = [self._row(state) for state in states if state.state and not state.is_new]
        taken = await insert_new(self._states, [*new, *_lists(states)])
        # A list that is there already is the same.
        await _replace_older(self._states, [*older, *(row for row in taken if "state" in row)])

    def _row(self, state: Snapshot) -> dict[str, Any]:
        row = {"_id": state.aggregate_id} | {name: getattr(state, name) for name in _STATE_FIELDS}
        return row | {"ids": [state.aggregate_id]} if self._lists else row

    async def _read(
        self,
        collection: Any,
        query: dict[str, Any],
        fields: dict[str, int] | None = None,
        *,
        sort: list[tuple[str, int]] | None = None,
        limit: int = 0,
    ) -> list[dict[str, Any]]:
        backoff: Backoff | None = None
        while True:
            try:
                async with answering():
                    cursor = collection.find(query, fields, sort=sort, limit=limit, batch_size=_READ_BATCH)
                    rows: list[dict[str, Any]] = await cursor.to_list(length=None)
            except Unavailable as error:
                backoff = backoff or Backoff(str(query), _BACKOFF_FIRST_S, _BACKOFF_MAX_S)
                await _wait("journal.read.retried", error, backoff)
            else:
                return rows


async def _replace_older(collection: Any, rows: Sequence[dict[str, Any]]) -> None:
    writes = [ReplaceOne({"_id": row["_id"], **_older_than(row)}, row, upsert=True) for row in rows]
    if writes:
        # An upsert that lost to a newer document shows as a duplicate: the newer document stays.
        await duplicates_of(collection.bulk_write(writes, ordered=False))


def _older_than(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the condition for a stored document that gives way: of an older block, or of this one in another shape."""
    older = {"block_no": {"$lt": row["block_no"]}}
    if "state_version" not in row:
        return older
    other = {"block_no": row["block_no"], "state_version": {"$ne": row["state_version"]}}
    return {"$or": [older, other]}


async def _wait(event: str, error: Unavailable, backoff: Backoff) -> None:
    metrics.DATABASE_RETRIES.inc()
    wait_s = backoff.next_s()
    _log.warning(event, error=type(error.__cause__ or error).__name__, wait_s=wait_s)
    await asyncio.sleep(wait_s)


_STATE_FIELDS = ("shard", "block_no", "seq", "published", "state", "is_final", "state_version")
_ENTITY_FIELDS = ("aggregate_id", "shard", "block_no", "body")


def _lists(states: Iterable[Snapshot]) -> list[dict[str, Any]]:
    """Return a document for all states of a shard of which the id alone is kept."""
    lists: dict[tuple[str, int], dict[str, int]] = {}
    for state in states:
        if not state.state:
            lists.setdefault((state.shard, state.after), {})[state.aggregate_id] = state.block_no
    rows = []
    for (shard, after), blocks in lists.items():
        name = f"final:{shard}:{content_fingerprint(' '.join(blocks).encode())}"
        span = {"shard": shard, "after": after, "block_no": max(blocks.values())}
        rows.append({"_id": name, "is_final": True, "ids": list(blocks)} | span)
    return rows


def _snapshots(row: dict[str, Any]) -> list[Snapshot]:
    if "state" in row:
        return [_snapshot(row)]
    span = (row["shard"], row["block_no"], 0, 0, "")
    return [Snapshot(key, *span, is_final=True, after=row["after"]) for key in row["ids"]]


def _snapshot(row: dict[str, Any]) -> Snapshot:
    # A state of the first build states no version.
    return Snapshot(row["_id"], **{name: row[name] for name in _STATE_FIELDS if name in row})


def _entity_row(entity: StoredEntity) -> dict[str, Any]:
    return {"_id": entity.entity_id} | {name: getattr(entity, name) for name in _ENTITY_FIELDS}


def _entity(row: dict[str, Any]) -> StoredEntity:
    return StoredEntity(row["_id"], *(row[name] for name in _ENTITY_FIELDS))
