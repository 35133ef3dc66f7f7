"""Writes the read model in bulk; an older writer never replaces what a newer one wrote.

Only the last write of a batch waits for the disk, for all before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pymongo import InsertOne, ReplaceOne, UpdateOne

from services.ingest.domain.answers import RefundRefusal
from services.ingest.domain.task_row import BatchRows, CandidateSegment, TaskRow
from services.ingest.store.rows import (
    events_document,
    row_document,
    row_of,
    segment_changes,
    segment_document,
    segment_id,
)
from services.ingest.store.views import CANDIDATE_SEGMENTS, EVENT_SEGMENTS, REFUSAL
from winnow.adapters.mongo import UNSYNCED, answering, duplicates_of

if TYPE_CHECKING:
    from motor.motor_asyncio import AsyncIOMotorDatabase


class _Write(NamedTuple):
    """A write of a bulk, with the id of the document that it is about."""

    document_id: str
    operation: InsertOne[dict[str, Any]] | ReplaceOne[dict[str, Any]] | UpdateOne


class MongoViewWriter:
    """The projection's side of the read model."""

    def __init__(self, database: AsyncIOMotorDatabase[Any]) -> None:
        """Use the collections of the read model."""
        self._tasks = database["tasks"]
        self._candidates = database[CANDIDATE_SEGMENTS]
        self._events = database[EVENT_SEGMENTS]
        self._refusals = database["refund_refusals"]

    @answering()
    async def load(self, task_ids: Sequence[str]) -> dict[str, TaskRow]:
        """Return the rows as stored."""
        documents = await self._tasks.find({"_id": {"$in": list(task_ids)}}).to_list(length=None)
        return {document["_id"]: row_of(document) for document in documents}

    async def save(self, batch: BatchRows) -> set[str]:
        """Write segments, then rows, so that a row never leaves out what is not in a segment yet."""
        await self._write(
            self._events, [_insert(events_document(events)) for events in batch.events], waits=False
        )
        await self._save_segments(batch.segments)
        rows = {task_id: row_document(row) for task_id, row in batch.rows.items()}
        new = [_insert(rows[task_id]) for task_id in rows if task_id in batch.new]
        taken = await self._write(self._tasks, new, waits=len(new) == len(rows))
        known = [
            _guarded(row) for task_id, row in rows.items() if task_id in taken or task_id not in batch.new
        ]
        newer = await self._write(self._tasks, known[:-1], waits=False)
        return newer | await self._write(self._tasks, known[-1:])

    async def _save_segments(self, segments: Sequence[CandidateSegment]) -> None:
        """Insert those that became full and change the others; a segment that is there already is replaced by a newer."""
        whole = {document["_id"]: document for document in map(segment_document, _whole(segments))}
        taken = await self._write(self._candidates, [_insert(row) for row in whole.values()], waits=False)
        changes = [_guarded(whole[key]) for key in whole if key in taken]
        changes += [_segment_write(segment) for segment in segments if not segment.is_whole]
        await self._write(self._candidates, changes, waits=False)

    async def save_refusals(self, refusals: Sequence[RefundRefusal]) -> None:
        """Write refused refunds; one that is there stays."""
        await self._write(self._refusals, [_refusal_write(refusal) for refusal in refusals])

    async def _write(self, collection: Any, writes: Sequence[_Write], *, waits: bool = True) -> set[str]:
        """Write in bulk; return the ids whose stored document is newer, which shows as a duplicate key.

        Where a newer view is, its writer has kept the events and candidates before it as well.
        """
        if not writes:
            return set()
        into = collection if waits else collection.with_options(write_concern=UNSYNCED)
        operations = [write.operation for write in writes]
        taken = await duplicates_of(into.bulk_write(operations, ordered=False))
        return {writes[position].document_id for position in taken}


def _insert(document: dict[str, Any]) -> _Write:
    return _Write(document["_id"], InsertOne(document))


def _whole(segments: Sequence[CandidateSegment]) -> list[CandidateSegment]:
    return [segment for segment in segments if segment.is_whole]


def _guarded(document: dict[str, Any]) -> _Write:
    older = {"_id": document["_id"], "offset": {"$lt": document["offset"]}}
    return _Write(document["_id"], ReplaceOne(older, document, upsert=True))


def _segment_write(segment: CandidateSegment) -> _Write:
    document_id = segment_id(segment.task_id, segment.first)
    older = {"_id": document_id, "offset": {"$lt": segment.offset}}
    return _Write(document_id, UpdateOne(older, {"$set": segment_changes(segment)}))


def _refusal_write(refusal: RefundRefusal) -> _Write:
    return _insert(
        {
            "_id": refusal.refund_id,
            "account_id": refusal.account_id,
            "task_id": refusal.task_id,
            "refusal": REFUSAL.dump_json(refusal).decode(),
        }
    )
