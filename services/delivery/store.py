"""Webhook endpoints, and the index of outputs and webhook deliveries, in MongoDB.

The journal holds the truth about tasks; the index only finds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pymongo import ReplaceOne

from services.delivery.domain.endpoints import Endpoint
from services.delivery.domain.records import KeptOutputs, Redelivery
from winnow.adapters.mongo import UNSYNCED, Duplicate, answering, insert_new
from winnow.contracts.errors import ErrorCode, Refused
from winnow.runtime.coalescer import Coalescer

if TYPE_CHECKING:
    from motor.motor_asyncio import AsyncIOMotorDatabase

_TRIES_MAX = 10


class EndpointStore:
    """The webhook endpoints. Every method raises Unavailable while the database does not answer."""

    def __init__(self, database: AsyncIOMotorDatabase[Any]) -> None:
        """Use a database handle whose write concern is majority with journal."""
        self._endpoints = database["webhook_endpoints"]
        self._subscribed = Coalescer(self._find_subscribed)

    @answering()
    async def prepare(self) -> None:
        """Create the indexes; may be repeated."""
        await self._endpoints.create_index([("account_id", 1), ("slot", 1)], unique=True, name="account_slot")

    async def add(self, endpoint: Endpoint, endpoints_max: int) -> None:
        """Keep an endpoint in a free slot of its account. Raises Refused (out_of_bounds) when none is free."""
        for _ in range(_TRIES_MAX):
            # Another request may take the slot between the read and the write.
            with suppress(Duplicate):
                if await self._take_slot(endpoint, endpoints_max):
                    return
                break
        raise Refused(
            ErrorCode.out_of_bounds,
            f"An account has at most {endpoints_max} webhook endpoints.",
            field="url",
        )

    @answering()
    async def _take_slot(self, endpoint: Endpoint, endpoints_max: int) -> bool:
        """Keep an endpoint in the first free slot; False when none is free. Raises Duplicate when it was taken."""
        rows = self._endpoints.find({"account_id": endpoint.account_id}, {"slot": 1})
        taken = {row["slot"] for row in await rows.to_list(length=None)}
        free = next((slot for slot in range(endpoints_max) if slot not in taken), None)
        if free is not None:
            await self._endpoints.insert_one(_row(endpoint, free))
        return free is not None

    async def of_account(self, account_id: str) -> list[Endpoint]:
        """Return the endpoints, oldest first."""
        return await self._find({"account_id": account_id})

    @answering()
    async def remove(self, account_id: str, endpoint_id: str) -> bool:
        """Remove an endpoint; False when there is none."""
        result = await self._endpoints.delete_one({"_id": endpoint_id, "account_id": account_id})
        return bool(result.deleted_count)

    async def subscribed(self, account_id: str, event_type: str) -> list[Endpoint]:
        """Return the enabled endpoints that want this type."""
        asked = (account_id, event_type)
        return (await self._subscribed.ask(asked))[asked]

    async def find(self, endpoint_id: str) -> Endpoint | None:
        """Return an endpoint."""
        found = await self._find({"_id": endpoint_id})
        return found[0] if found else None

    @answering()
    async def note_success(self, endpoint_id: str) -> None:
        """Forget earlier failures."""
        await self._endpoints.update_one({"_id": endpoint_id}, {"$set": {"failing_since": None}})

    @answering()
    async def note_failure(self, endpoint_id: str, at: datetime, *, disable: bool) -> None:
        """Note a failure, keeping the time of the first one, and switch the endpoint off if asked."""
        await self._endpoints.update_one(
            {"_id": endpoint_id, "failing_since": None}, {"$set": {"failing_since": at}}
        )
        if disable:
            await self._endpoints.update_one(
                {"_id": endpoint_id}, {"$set": {"enabled": False, "disabled_at": at}}
            )

    async def _find_subscribed(
        self, asked: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], list[Endpoint]]:
        found: dict[tuple[str, str], list[Endpoint]] = {}
        for account_id, event_type in set(asked):
            wants = {"$or": [{"event_types": event_type}, {"event_types": []}]}
            found[account_id, event_type] = await self._find(
                {"account_id": account_id, "enabled": True, **wants}
            )
        return found

    @answering()
    async def _find(self, query: dict[str, Any]) -> list[Endpoint]:
        rows = await self._endpoints.find(query).sort("created_at", 1).to_list(length=None)
        return [_endpoint(row) for row in rows]


class IndexStore:
    """Finds tasks by account, delivery and age. Raises Unavailable while the database does not answer."""

    def __init__(self, database: AsyncIOMotorDatabase[Any]) -> None:
        """Use a database handle whose write concern is majority with journal."""
        # A block of the journal follows what is noted here, and takes it along.
        self._outputs = database["outputs"].with_options(write_concern=UNSYNCED)
        self._webhooks = database["webhooks"].with_options(write_concern=UNSYNCED)
        self._redeliveries = database["redeliveries"]
        self._noted = Coalescer(self._note_rows)

    @answering()
    async def prepare(self) -> None:
        """Create the indexes; may be repeated."""
        await self._outputs.create_index([("stored_at", 1)], name="age")
        await self._webhooks.create_index([("account_id", 1), ("planned_at", -1)], name="account")
        await self._webhooks.create_index([("delivery_ids", 1)], name="delivery")

    async def note_outputs(self, task_id: str, account_id: str, keys: Sequence[str], at: datetime) -> None:
        """Note the objects of a task."""
        await self._noted.ask({"_id": task_id, "account_id": account_id, "keys": list(keys), "stored_at": at})

    @answering()
    async def _note_rows(self, rows: Sequence[dict[str, Any]]) -> None:
        latest = {row["_id"]: row for row in rows}
        again = await insert_new(self._outputs, list(latest.values()))
        if again:
            await self._outputs.bulk_write(
                [ReplaceOne({"_id": row["_id"]}, row, upsert=True) for row in again]
            )

    @answering()
    async def outputs_before(self, at: datetime, limit: int) -> list[KeptOutputs]:
        """Return tasks whose objects were stored before ``at``, oldest first."""
        query = self._outputs.find({"stored_at": {"$lt": at}}, {"keys": 1})
        rows = await query.sort("stored_at", 1).limit(limit).to_list(length=None)
        return [KeptOutputs(row["_id"], tuple(row["keys"])) for row in rows]

    @answering()
    async def forget_outputs(self, task_ids: Sequence[str]) -> None:
        """Forget objects that are deleted."""
        await self._outputs.delete_many({"_id": {"$in": list(task_ids)}})

    @answering()
    async def note_webhooks(
        self, task_id: str, account_id: str, delivery_ids: Sequence[str], at: datetime
    ) -> None:
        """Note the webhook deliveries of a task; the first time it is noted is kept."""
        change = {
            "$set": {"account_id": account_id},
            "$setOnInsert": {"planned_at": at},
            "$addToSet": {"delivery_ids": {"$each": list(delivery_ids)}},
        }
        await self._webhooks.update_one({"_id": task_id}, change, upsert=True)

    @answering()
    async def tasks_with_webhooks(self, account_id: str, limit: int) -> list[str]:
        """Return an account's tasks that have webhook deliveries, newest first."""
        query = self._webhooks.find({"account_id": account_id}, {"_id": 1})
        rows = await query.sort("planned_at", -1).limit(limit).to_list(length=None)
        return [row["_id"] for row in rows]

    @answering()
    async def task_of_delivery(self, account_id: str, delivery_id: str) -> str | None:
        """Find the task of a webhook delivery of this account."""
        row = await self._webhooks.find_one({"delivery_ids": delivery_id, "account_id": account_id})
        return None if row is None else str(row["_id"])

    @answering()
    async def ask_redelivery(self, wanted: Redelivery, at: datetime) -> None:
        """Leave a redelivery for the owner of its task."""
        row = {"task_id": wanted.task_id, "asked_at": at}
        await self._redeliveries.update_one({"_id": wanted.delivery_id}, {"$set": row}, upsert=True)

    @answering()
    async def asked_redeliveries(self, limit: int) -> list[Redelivery]:
        """Return the redeliveries that wait, oldest first."""
        rows = await self._redeliveries.find().sort("asked_at", 1).limit(limit).to_list(length=None)
        return [Redelivery(row["task_id"], row["_id"]) for row in rows]

    @answering()
    async def forget_redelivery(self, done: Redelivery) -> None:
        """Forget a redelivery that was decided."""
        await self._redeliveries.delete_one({"_id": done.delivery_id})


def _row(endpoint: Endpoint, slot: int) -> dict[str, Any]:
    return {
        "_id": endpoint.endpoint_id,
        "account_id": endpoint.account_id,
        "slot": slot,
        "url": endpoint.url,
        "event_types": list(endpoint.event_types),
        "enabled": endpoint.enabled,
        "created_at": endpoint.created_at,
        "failing_since": endpoint.failing_since,
    }


def _endpoint(row: dict[str, Any]) -> Endpoint:
    return Endpoint(
        endpoint_id=row["_id"],
        account_id=row["account_id"],
        url=row["url"],
        event_types=tuple(row["event_types"]),
        enabled=row["enabled"],
        created_at=row["created_at"],
        failing_since=row["failing_since"],
    )
