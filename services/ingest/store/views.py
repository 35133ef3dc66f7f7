"""The read model in MongoDB: tasks, candidates, task events and entries, every question by account."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter

from services.ingest.domain.answers import EntryView, RefundRefusal
from services.ingest.domain.task_projection import Page, PublicEvent
from services.ingest.domain.views import TaskView
from winnow.adapters.mongo import answering

if TYPE_CHECKING:
    from motor.motor_asyncio import AsyncIOMotorDatabase

VIEW: Final[TypeAdapter[TaskView]] = TypeAdapter(TaskView)
ENTRY: Final[TypeAdapter[EntryView]] = TypeAdapter(EntryView)
REFUSAL: Final[TypeAdapter[RefundRefusal]] = TypeAdapter(RefundRefusal)
_ORDER: Final = {"created_us": -1, "_id": -1}


class MongoViews:
    """The readers' side."""

    def __init__(self, database: AsyncIOMotorDatabase[Any]) -> None:
        """Use the collections of the read model."""
        self._tasks = database["tasks"]
        self._candidates = database["candidates"]
        self._events = database["task_events"]
        self._entries = database["entries"]
        self._refusals = database["refund_refusals"]

    async def prepare(self) -> None:
        """Create the indexes; may be repeated."""
        newest = [("account_id", 1), ("created_us", -1), ("_id", -1)]
        await self._tasks.create_index(newest, name="newest")
        await self._candidates.create_index([("task_id", 1), ("place", 1)], name="by_task")
        await self._events.create_index([("task_id", 1), ("number", 1)], name="by_task")
        await self._entries.create_index(newest, name="newest")
        await self._entries.create_index([("task_id", 1)], name="by_task")
        await self._entries.create_index([("grant_id", 1)], name="by_grant")

    @answering()
    async def task(self, account_id: str, task_id: str) -> TaskView | None:
        """Return a task's view."""
        row = await self._tasks.find_one({"_id": task_id, "account_id": account_id})
        return view_of(row) if row else None

    @answering()
    async def task_anywhere(self, task_id: str) -> TaskView | None:
        """Return a task's view from any account."""
        row = await self._tasks.find_one({"_id": task_id})
        return view_of(row) if row else None

    @answering()
    async def tasks(self, account_id: str, page: Page) -> list[TaskView]:
        """Return tasks, newest first."""
        query: dict[str, Any] = {"account_id": account_id, "created_us": {"$gt": 0}, **_before(page)}
        if page.state is not None:
            query["state"] = page.state
        rows = await self._tasks.find(query, sort=list(_ORDER.items()), limit=page.limit).to_list(length=None)
        return [view_of(row) for row in rows]

    @answering()
    async def candidates(self, account_id: str, task_id: str, page: Page) -> list[Mapping[str, Any]]:
        """Return candidates by round and index."""
        query: dict[str, Any] = {"task_id": task_id, "account_id": account_id}
        if page.after is not None:
            query["place"] = {"$gt": page.after[0]}
        if page.state is not None:
            query["state"] = page.state
        cursor = self._candidates.find(query, sort=[("place", 1)], limit=page.limit)
        return [candidate_of(row) for row in await cursor.to_list(length=None)]

    @answering()
    async def candidate(self, account_id: str, task_id: str, candidate_id: str) -> Mapping[str, Any] | None:
        """Return a candidate."""
        row = await self._candidates.find_one(
            {"_id": candidate_id, "task_id": task_id, "account_id": account_id}
        )
        return candidate_of(row) if row else None

    @answering()
    async def events(self, account_id: str, task_id: str, after: int, limit: int) -> list[PublicEvent]:
        """Return the events after a number, in order."""
        query = {"task_id": task_id, "account_id": account_id, "number": {"$gt": after}}
        rows = await self._events.find(query, sort=[("number", 1)], limit=limit).to_list(length=None)
        return [
            PublicEvent(
                event_id=row["_id"],
                task_id=row["task_id"],
                account_id=row["account_id"],
                number=row["number"],
                type=row["type"],
                occurred_at=datetime.fromisoformat(row["occurred_at"]),
                fields=json.loads(row["fields"]),
            )
            for row in rows
        ]

    @answering()
    async def entries(self, account_id: str, page: Page) -> list[EntryView]:
        """Return entries of the books, newest first."""
        query = {"account_id": account_id, **_before(page)}
        cursor = self._entries.find(query, sort=list(_ORDER.items()), limit=page.limit)
        return [_entry(row) for row in await cursor.to_list(length=None)]

    @answering()
    async def entries_of_task(self, account_id: str, task_id: str) -> list[EntryView]:
        """Return the entries about one task, in order."""
        query = {"task_id": task_id, "account_id": account_id}
        rows = await self._entries.find(query, sort=[("offset", 1)]).to_list(length=None)
        return [_entry(row) for row in rows]

    @answering()
    async def grant_entry(self, account_id: str, grant_id: str) -> EntryView | None:
        """Return the entry that booked a grant."""
        row = await self._entries.find_one({"grant_id": grant_id, "account_id": account_id, "kind": "grant"})
        return _entry(row) if row else None

    @answering()
    async def entry(self, account_id: str, entry_id: str) -> EntryView | None:
        """Return an entry by its id."""
        row = await self._entries.find_one({"_id": entry_id, "account_id": account_id})
        return _entry(row) if row else None

    @answering()
    async def refund_refusal(self, account_id: str, refund_id: str) -> RefundRefusal | None:
        """Return how the ledger refused a refund."""
        row = await self._refusals.find_one({"_id": refund_id, "account_id": account_id})
        return REFUSAL.validate_json(row["refusal"]) if row else None


def view_of(row: Mapping[str, Any]) -> TaskView:
    """Read a stored view."""
    return VIEW.validate_json(row["view"])


def created_us(at: datetime) -> int:
    """Return a time as whole microseconds since 1970, which orders pages."""
    return int(at.timestamp() * 1_000_000)


def candidate_of(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Read a stored candidate: its plain fields, and the nested fields from their text."""
    fields = {name: value for name, value in row.items() if name not in {"_id", "nested", "offset"}}
    nested = {
        name[len("nested_") :]: json.loads(value)
        for name, value in fields.items()
        if name.startswith("nested_")
    }
    plain = {name: value for name, value in fields.items() if not name.startswith("nested_")}
    return {"candidate_id": row["_id"], **plain, **nested}


def _entry(row: Mapping[str, Any]) -> EntryView:
    return ENTRY.validate_json(row["entry"])


def _before(page: Page) -> dict[str, Any]:
    if page.after is None:
        return {}
    place, tiebreak = page.after
    return {"$or": [{"created_us": {"$lt": place}}, {"created_us": place, "_id": {"$lt": tiebreak}}]}
