"""Writes the read model in bulk; an older writer never replaces what a newer one wrote.

Only the last write of a batch waits for the disk, for all before it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pymongo import InsertOne, ReplaceOne, UpdateOne

from services.ingest.domain.answers import EntryView, RefundRefusal
from services.ingest.domain.task_projection import BatchProjection, PublicEvent
from services.ingest.domain.views import TaskView
from services.ingest.store.views import ENTRY, REFUSAL, VIEW, created_us, view_of
from winnow.adapters.mongo import UNSYNCED, answering, duplicates_of

if TYPE_CHECKING:
    from motor.motor_asyncio import AsyncIOMotorDatabase

_PLACES_PER_ROUND: Final = 1_000_000


class _Write(NamedTuple):
    """A write of a bulk, with the id of the document that it is about."""

    document_id: str
    operation: InsertOne[dict[str, Any]] | ReplaceOne[dict[str, Any]] | UpdateOne


class MongoViewWriter:
    """The projection's side of the read model."""

    def __init__(self, database: AsyncIOMotorDatabase[Any]) -> None:
        """Use the collections of the read model."""
        self._tasks = database["tasks"]
        self._candidates = database["candidates"]
        self._events = database["task_events"]
        self._entries = database["entries"]
        self._refusals = database["refund_refusals"]

    @answering()
    async def load(self, task_ids: Sequence[str]) -> dict[str, TaskView]:
        """Return the views as stored."""
        rows = await self._tasks.find({"_id": {"$in": list(task_ids)}}).to_list(length=None)
        return {row["_id"]: view_of(row) for row in rows}

    async def save(self, projected: BatchProjection) -> set[str]:
        """Write events and candidates, then views, so that a view never names what is not there yet."""
        events = [_event_write(event) for event in projected.events]
        views = projected.views
        await self._write(self._events, events, waits=not views)
        await self._save_candidates(projected.patches, waits=not views)
        new = [_insert(_view_row(view)) for key, view in views.items() if key in projected.new]
        taken = await self._write(self._tasks, new, waits=len(new) == len(views))
        known = [_view_write(view) for key, view in views.items() if key in taken or key not in projected.new]
        newer = await self._write(self._tasks, known[:-1], waits=False)
        return newer | await self._write(self._tasks, known[-1:])

    async def _save_candidates(
        self, patches: Mapping[str, tuple[TaskView, Mapping[str, Any]]], *, waits: bool
    ) -> None:
        """Insert those that start here and change the others, and what was there already."""
        rows = {key: _candidate_fields(view, patch) for key, (view, patch) in patches.items()}
        new = [_insert({"_id": key, **row}) for key, row in rows.items() if "place" in row]
        taken = await self._write(self._candidates, new, waits=waits)
        known = [
            _candidate_write(key, row) for key, row in rows.items() if key in taken or "place" not in row
        ]
        await self._write(self._candidates, known, waits=waits)

    async def save_entries(self, entries: Sequence[EntryView]) -> None:
        """Write entries; one that is there stays."""
        await self._write(self._entries, [_entry_write(entry) for entry in entries])

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


def _event_write(event: PublicEvent) -> _Write:
    return _insert(
        {
            "_id": event.event_id,
            "task_id": event.task_id,
            "account_id": event.account_id,
            "number": event.number,
            "type": event.type,
            "occurred_at": event.occurred_at.isoformat(),
            "fields": json.dumps(event.fields, separators=(",", ":"), ensure_ascii=False),
        }
    )


def _candidate_fields(view: TaskView, patch: Mapping[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {"task_id": view.task_id, "account_id": view.account_id, "offset": view.offset}
    for name, value in patch.items():
        if isinstance(value, dict | list):
            changes[f"nested_{name}"] = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        else:
            changes[name] = value
    if "round_index" in patch:
        changes["place"] = patch["round_index"] * _PLACES_PER_ROUND + patch["index"]
    return changes


def _candidate_write(candidate_id: str, fields: Mapping[str, Any]) -> _Write:
    older = {"_id": candidate_id, "offset": {"$lt": fields["offset"]}}
    return _Write(candidate_id, UpdateOne(older, {"$set": fields}, upsert=True))


def _view_write(view: TaskView) -> _Write:
    older = {"_id": view.task_id, "offset": {"$lt": view.offset}}
    return _Write(view.task_id, ReplaceOne(older, _view_row(view), upsert=True))


def _view_row(view: TaskView) -> dict[str, Any]:
    return {
        "_id": view.task_id,
        "account_id": view.account_id,
        "offset": view.offset,
        "state": view.state.value if view.state else None,
        "created_us": created_us(view.terms.accepted_at) if view.terms else 0,
        "view": VIEW.dump_json(view).decode(),
    }


def _entry_write(entry: EntryView) -> _Write:
    return _insert(
        {
            "_id": entry.entry_id,
            "account_id": entry.account_id,
            "task_id": entry.task_id,
            "grant_id": entry.grant_id,
            "kind": entry.kind,
            "offset": entry.offset,
            "created_us": created_us(entry.occurred_at),
            "entry": ENTRY.dump_json(entry).decode(),
        }
    )


def _refusal_write(refusal: RefundRefusal) -> _Write:
    return _insert(
        {
            "_id": refusal.refund_id,
            "account_id": refusal.account_id,
            "task_id": refusal.task_id,
            "refusal": REFUSAL.dump_json(refusal).decode(),
        }
    )
