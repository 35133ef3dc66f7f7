"""Reads a journal as an outsider: the stored blocks of every shard as they lie there, unchecked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Final, Self

from winnow.adapters.mongo import Mongo, answering

_BLOCKS_AT_ONCE: Final = 200


class JournalReader:
    """The journal of one database; ``prefix`` names its collections. Every method raises Unavailable."""

    def __init__(self, uri: str, database: str, prefix: str = "") -> None:
        """Prepare; it connects on first use."""
        self._mongo = Mongo(uri, database)
        self._blocks = self._mongo.database[f"{prefix}journal"]
        self._folds = self._mongo.database[f"{prefix}folds"]
        self._losses = self._mongo.database[f"{prefix}bus_losses"]

    async def __aenter__(self) -> Self:
        """Use it."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._mongo.close()

    async def shards(self) -> list[str]:
        """Name the shards that have blocks."""
        with answering():
            return sorted(str(shard) for shard in await self._blocks.distinct("shard"))

    async def sent_to(self, shard: str) -> int:
        """Return the newest block of a shard that is known to be on the bus with all before it; 0 for none."""
        with answering():
            noted = await self._folds.find_one({"_id": shard})
            lost = await self._losses.find_one({"_id": shard})
            # What a block says of a bus that lost everything since counts no more.
            since = {"shard": shard, "block_no": {"$gt": (lost or {}).get("block_no", 0)}}
            head = await self._blocks.find_one(since, {"sent_to": 1}, sort=[("block_no", -1)])
        return max(int((row or {}).get("sent_to", 0)) for row in (noted, head))

    async def documents(self, shard: str, after: int = 0) -> AsyncIterator[dict[str, Any]]:
        """Yield the stored blocks of a shard after a block number, in the order of their numbers."""
        while True:
            query = {"shard": shard, "block_no": {"$gt": after}}
            with answering():
                found = self._blocks.find(query, sort=[("block_no", 1)], limit=_BLOCKS_AT_ONCE)
                rows = await found.to_list(length=None)
            for row in rows:
                yield row
            if len(rows) < _BLOCKS_AT_ONCE:
                return
            after = rows[-1]["block_no"]
