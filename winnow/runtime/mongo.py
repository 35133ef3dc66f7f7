"""The seam to MongoDB: the driver is named here and in the stores, nowhere else (ADR-0009)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from winnow.contracts.errors import Unavailable

WRITE_CONCERN: Final = WriteConcern(w="majority", j=True)
"""An acknowledged write survives a crash of the server."""


class Mongo:
    """A connection to one service's database."""

    def __init__(self, uri: str, database: str) -> None:
        """Prepare the client; it connects on first use."""
        self._client: AsyncIOMotorClient[Any] = AsyncIOMotorClient(
            uri, serverSelectionTimeoutMS=5000, connectTimeoutMS=5000, socketTimeoutMS=30_000, tz_aware=True
        )
        self.database: AsyncIOMotorDatabase[Any] = self._client.get_database(
            database, write_concern=WRITE_CONCERN, read_concern=ReadConcern("local")
        )

    async def ping(self) -> None:
        """Raise unless the server answers."""
        await self._client.admin.command("ping")

    async def fix_shards(self, shards: int) -> None:
        """Record the number of shards once; raises Unavailable when the deployment was created with another."""
        record = await self.database["deployment"].find_one_and_update(
            {"_id": "shards"}, {"$setOnInsert": {"count": shards}}, upsert=True, return_document=True
        )
        if record["count"] != shards:
            detail = f"this deployment was created with {record['count']} shards, the setting says {shards}"
            raise Unavailable(detail)

    async def not_empty(self, collections: Sequence[str]) -> list[str]:
        """Name those of the collections that hold something; raises Unavailable."""
        try:
            return [one for one in collections if await self.database[one].find_one({}, {"_id": 1})]
        except PyMongoError as error:
            raise Unavailable("the database does not answer") from error

    async def clear(self, collections: Sequence[str]) -> None:
        """Delete every document of these collections, for one who makes them again; raises Unavailable."""
        try:
            for one in collections:
                await self.database[one].delete_many({})
        except PyMongoError as error:
            raise Unavailable("the database does not answer") from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
