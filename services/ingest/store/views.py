"""The read model in MongoDB: tasks, candidates, task events and refused refunds, every question by account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter

from services.ingest.domain.answers import RefundRefusal
from services.ingest.domain.task_projection import Page, PublicEvent
from services.ingest.domain.task_row import CANDIDATES_IN_SEGMENT, EVENTS_IN_SEGMENT, segment_of
from services.ingest.domain.views import TaskView
from services.ingest.store.rows import (
    candidates_in_row,
    candidates_in_segment,
    events_of,
    segment_id,
    view_of,
)
from winnow.adapters.mongo import answering
from winnow.contracts.errors import Unavailable

if TYPE_CHECKING:
    from motor.motor_asyncio import AsyncIOMotorDatabase

CANDIDATE_SEGMENTS: Final = "candidate_segments"
EVENT_SEGMENTS: Final = "event_segments"
OLDER: Final = ("candidates", "task_events")
"""Collections of builds that kept a document for each candidate and each event."""
UNREAD: Final = ("entries",)
"""Collections of older builds that no question needs: the ledger has what was in them."""
REFUSAL: Final[TypeAdapter[RefundRefusal]] = TypeAdapter(RefundRefusal)
_ORDER: Final = {"created_us": -1, "_id": -1}


class MongoViews:
    """The readers' side."""

    def __init__(self, database: AsyncIOMotorDatabase[Any]) -> None:
        """Use the collections of the read model."""
        self._tasks = database["tasks"]
        self._database = database
        self._candidates = database[CANDIDATE_SEGMENTS]
        self._events = database[EVENT_SEGMENTS]
        self._refusals = database["refund_refusals"]

    @answering()
    async def prepare(self) -> None:
        """Create the indexes; may be repeated. Raises Unavailable for a read model of an older build."""
        for name in OLDER:
            if await self._database[name].find_one() is not None:
                raise Unavailable(
                    "an older build wrote the read model: stop ingest, run `winnow rebuild ingest --force`, start again"
                )
        newest = [("account_id", 1), ("created_us", -1), ("_id", -1)]
        await self._tasks.create_index(newest, name="newest")
        await self._candidates.create_index([("task_id", 1), ("last_place", 1)], name="by_task")
        await self._events.create_index([("task_id", 1), ("last", 1)], name="by_task")

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
        row = await self._row(account_id, task_id)
        found: dict[str, Mapping[str, Any]] = {}
        after = page.after[0] if page.after else -1
        segments_at_once = page.limit // CANDIDATES_IN_SEGMENT + 2
        read_to = after
        while len(found) < page.limit:
            # Read after the row: what left the row meanwhile is in a segment.
            query = {"task_id": task_id, "account_id": account_id, "last_place": {"$gt": read_to}}
            cursor = self._candidates.find(query, sort=[("last_place", 1)], limit=segments_at_once)
            segments = await cursor.to_list(length=None)
            for segment in segments:
                found |= _matching(candidates_in_segment(segment), after, page.state)
            if len(segments) < segments_at_once:
                in_row = candidates_in_row(row) if row else []
                found = _matching(in_row, after, page.state) | found
                break
            read_to = segments[-1]["last_place"]
        return sorted(found.values(), key=lambda candidate: candidate["place"])[: page.limit]

    @answering()
    async def candidate(self, account_id: str, task_id: str, candidate_id: str) -> Mapping[str, Any] | None:
        """Return a candidate."""
        row = await self._row(account_id, task_id)
        if row is None:
            return None
        shown = candidates_in_row(row)
        first = segment_of(view_of(row), candidate_id)
        if first is not None and all(candidate["candidate_id"] != candidate_id for candidate in shown):
            segment = await self._candidates.find_one(
                {"_id": segment_id(task_id, first), "account_id": account_id}
            )
            shown = candidates_in_segment(segment) if segment else []
        return next((candidate for candidate in shown if candidate["candidate_id"] == candidate_id), None)

    @answering()
    async def events(self, account_id: str, task_id: str, after: int, limit: int) -> list[PublicEvent]:
        """Return the events after a number, in order."""
        row = await self._tasks.find_one({"_id": task_id, "account_id": account_id}, {"events": 1})
        tail = events_of(row) if row else ()
        found = {event.number: event for event in tail if event.number > after}
        if not tail or after + 1 < tail[0].number:
            # Read after the row: what left the row meanwhile is in a segment.
            query = {"task_id": task_id, "account_id": account_id, "last": {"$gt": after}}
            cursor = self._events.find(query, sort=[("last", 1)], limit=limit // EVENTS_IN_SEGMENT + 2)
            for segment in await cursor.to_list(length=None):
                found |= {event.number: event for event in events_of(segment) if event.number > after}
        return _without_gap(found, after)[:limit]

    async def _row(self, account_id: str, task_id: str) -> Mapping[str, Any] | None:
        row: Mapping[str, Any] | None = await self._tasks.find_one({"_id": task_id, "account_id": account_id})
        return row

    @answering()
    async def refund_refusal(self, account_id: str, refund_id: str) -> RefundRefusal | None:
        """Return how the ledger refused a refund."""
        row = await self._refusals.find_one({"_id": refund_id, "account_id": account_id})
        return REFUSAL.validate_json(row["refusal"]) if row else None


def _matching(
    candidates: Iterable[Mapping[str, Any]], after: int, state: str | None
) -> dict[str, Mapping[str, Any]]:
    return {
        candidate["candidate_id"]: candidate
        for candidate in candidates
        if candidate["place"] > after and state in {None, candidate["state"]}
    }


def _without_gap(events: Mapping[int, PublicEvent], after: int) -> list[PublicEvent]:
    """Return events in order up to the first that is missing: segments beyond those that were read may hold it."""
    found: list[PublicEvent] = []
    while (event := events.get(after + 1 + len(found))) is not None:
        found.append(event)
    return found


def _before(page: Page) -> dict[str, Any]:
    if page.after is None:
        return {}
    place, tiebreak = page.after
    return {"$or": [{"created_us": {"$lt": place}}, {"created_us": place, "_id": {"$lt": tiebreak}}]}
