"""The seam to MongoDB: the driver is named here and in the stores, nowhere else (ADR-0009)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo import monitoring
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from winnow.contracts.errors import Unavailable
from winnow.runtime import metrics

WRITE_CONCERN: Final = WriteConcern(w="majority", j=True)
"""An acknowledged write survives a crash of the server."""
UNSYNCED: Final = WriteConcern(w=1, j=False)
"""For a write that another of the same process follows with ``WRITE_CONCERN``, before anything relies on it.

A server's log is written in order, and so is that of a replica set: once the later write is kept, so is the earlier one.
It saves the wait for the disk, which most servers make once for every document of a bulk.
"""

_DUPLICATE: Final = 11000
"""The code of a write that another document stands in the way of."""


class Duplicate(Exception):  # noqa: N818 (most writers expect it)
    """Other documents stand in the way of writes, and nothing else failed; the arguments are their positions."""


@asynccontextmanager
async def answering() -> AsyncIterator[None]:
    """Turn the driver's errors, in a block or as a decorator, into Duplicate, or else Unavailable."""
    try:
        yield
    except PyMongoError as error:
        details: Mapping[str, Any] = getattr(error, "details", None) or {}
        faults = details.get("writeErrors") or [{"index": 0, "code": getattr(error, "code", None)}]
        if all(fault.get("code") == _DUPLICATE for fault in faults):
            raise Duplicate(*(fault["index"] for fault in faults)) from error
        raise Unavailable("The database does not answer.") from error


class CallCounter(monitoring.CommandListener):
    """Counts each command that the driver sends, and the documents that the server says it wrote.

    The driver reports neither heartbeats nor handshakes. A command that a transport error sends again is two calls.
    """

    def __init__(self) -> None:
        """Start with no command under way."""
        self._collections: dict[int, str] = {}

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Count a call, whether or not it will succeed."""
        name = event.command_name
        target = event.command.get("collection" if name == "getMore" else name)
        collection = target if isinstance(target, str) else ""
        metrics.DATABASE_CALLS.labels(name, collection).inc()
        if name in _WRITES:
            self._collections[event.request_id] = collection

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Count the documents of a write."""
        collection = self._collections.pop(event.request_id, None)
        if collection is not None and (written := _documents_written(event.command_name, event.reply)):
            metrics.DATABASE_DOCUMENTS.labels(event.command_name, collection).inc(written)

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Forget a write that failed as a whole."""
        self._collections.pop(event.request_id, None)


_WRITES: Final = frozenset({"insert", "update", "delete", "findAndModify"})


def _documents_written(command: str, reply: Mapping[str, Any]) -> int:
    """Return how many documents a write inserted, changed or deleted; one found as it should be is none."""
    if command == "update":
        return int(reply.get("nModified", 0)) + len(reply.get("upserted", ()))
    if command == "findAndModify":
        return int((reply.get("lastErrorObject") or {}).get("n", 0))
    return int(reply.get("n", 0))


class Mongo:
    """A connection to one service's database."""

    def __init__(self, uri: str, database: str) -> None:
        """Prepare the client; it connects on first use."""
        self._client: AsyncIOMotorClient[Any] = AsyncIOMotorClient(
            uri,
            serverSelectionTimeoutMS=5000,
            connectTimeoutMS=5000,
            socketTimeoutMS=30_000,
            tz_aware=True,
            event_listeners=[CallCounter()],
        )
        self.database: AsyncIOMotorDatabase[Any] = self._client.get_database(
            database, write_concern=WRITE_CONCERN, read_concern=ReadConcern("local")
        )

    @answering()
    async def ping(self) -> None:
        """Raise Unavailable unless the server answers."""
        await self._client.admin.command("ping")

    @answering()
    async def fix_shards(self, shards: int) -> None:
        """Record the number of shards once; raises Unavailable when the deployment was created with another."""
        with suppress(Duplicate):
            async with answering():
                await self.database["deployment"].insert_one({"_id": "shards", "count": shards})
        fixed = await self.fixed_shards()
        if fixed != shards:
            detail = f"this deployment was created with {fixed} shards, the setting says {shards}"
            raise Unavailable(detail)

    @answering()
    async def fixed_shards(self) -> int | None:
        """Return the number of shards that the deployment was created with; None before a service has run."""
        record = await self.database["deployment"].find_one({"_id": "shards"})
        return int(record["count"]) if record else None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


async def duplicates_of(bulk: Awaitable[object]) -> Sequence[int]:
    """Await a bulk; return the positions of its writes that lost to a duplicate. Raises Unavailable."""
    try:
        async with answering():
            await bulk
    except Duplicate as error:
        return error.args
    return ()


async def insert_new(collection: Any, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Insert documents in one write, far cheaper than upserts; return those whose id was there already.

    They stay as they were. Raises Unavailable.
    """
    taken = await duplicates_of(collection.insert_many(rows, ordered=False)) if rows else ()
    return [rows[position] for position in taken]
