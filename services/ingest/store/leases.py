"""Lease of the HTTP shard that this instance writes: leased, renewed, and adopted whole when its holder is gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from pymongo import ReturnDocument

from winnow.adapters.mongo import Duplicate, answering
from winnow.contracts.errors import Unavailable
from winnow.runtime.clock import Clock
from winnow.runtime.lease import keep_renewed, lease_end_s
from winnow.runtime.log import get_logger

if TYPE_CHECKING:
    from motor.motor_asyncio import AsyncIOMotorDatabase

_log = get_logger(__name__)
_SHARDS_MAX: Final = 1024
_LONG_AGO: Final = 0


class Shards(Protocol):
    """The journal, as the leases see it."""

    def assign(self, shards: list[str]) -> None:
        """Take shards over."""

    def revoke(self, shards: list[str]) -> None:
        """Release shards."""


class HttpShards:
    """This instance's shard, and those of dead instances until everything of theirs is sent.

    A lease keeps order; safety does not depend on it. Two holders of one shard would fence each other by the
    block number, and a request's input is unique over all shards.
    """

    def __init__(
        self,
        database: AsyncIOMotorDatabase[Any],
        journal: Shards,
        unsent: Callable[[str], Awaitable[list[Any]]],
        clock: Clock,
        holder: str,
    ) -> None:
        """Claim as ``holder``, which names this process and no other."""
        self._leases = database["leases"]
        self._journal = journal
        self._unsent = unsent
        self._clock = clock
        self._holder = holder
        self._own: str | None = None
        self._until_s = 0.0
        self._adopted: set[str] = set()
        self._leaving = False

    def shard(self) -> str | None:
        """Return the shard to write to; None while there is none, or its lease could not be renewed in time."""
        return self._own if self._clock.now().timestamp() < self._until_s else None

    async def claim(self) -> None:
        """Claim the first shard that nobody holds, and take it over whole."""
        for number in range(_SHARDS_MAX):
            name = f"http-{number}"
            until_s = lease_end_s(self._clock)
            if await self._take(name, until_s):
                self._own, self._until_s = name, until_s
                self._journal.assign([name])
                _log.info("ingest.lease.claimed", shard=name)
                return
        raise Unavailable("Every HTTP shard is held.")

    async def run(self) -> None:
        """Renew and adopt until cancelled; a lease that cannot be renewed runs out, and `shard` is then None."""
        await keep_renewed(self._renew_all, "ingest.lease.renewal_failed")

    async def release(self) -> None:
        """Release everything; call when the journal is drained."""
        self._leaving = True
        names = [*self._adopted, *([self._own] if self._own else [])]
        self._own = None
        self._journal.revoke(names)
        for name in names:
            await self._free(name)

    async def _renew_all(self) -> None:
        if not self._leaving:
            await self._renew()
            await self._adopt()

    async def _renew(self) -> None:
        if self._own is None:
            await self.claim()
            return
        until_s = lease_end_s(self._clock)
        if await self._extend(self._own, until_s):
            self._until_s = until_s
            return
        _log.warning("ingest.lease.lost", shard=self._own)
        lost, self._own = self._own, None
        self._journal.revoke([lost])
        await self.claim()

    async def _adopt(self) -> None:
        for name in await self._expired():
            if name != self._own and await self._take(name, lease_end_s(self._clock)):
                self._adopted.add(name)
                self._journal.assign([name])
                _log.info("ingest.lease.adopted", shard=name)
        for name in list(self._adopted):
            if not await self._unsent(name):
                self._adopted.discard(name)
                self._journal.revoke([name])
                await self._free(name)
            elif not await self._extend(name, lease_end_s(self._clock)):
                self._adopted.discard(name)
                self._journal.revoke([name])

    async def _take(self, name: str, until_s: float) -> bool:
        now = self._clock.now().timestamp()
        try:
            async with answering():
                row = await self._leases.find_one_and_update(
                    {"_id": name, "until_s": {"$lt": now}},
                    {"$set": {"holder": self._holder, "until_s": until_s, "released": False}},
                    upsert=True,
                    return_document=ReturnDocument.AFTER,
                )
        except Duplicate:
            return False
        return row is not None and row["holder"] == self._holder

    @answering()
    async def _extend(self, name: str, until_s: float) -> bool:
        answer = await self._leases.update_one(
            {"_id": name, "holder": self._holder}, {"$set": {"until_s": until_s}}
        )
        return bool(answer.matched_count)

    @answering()
    async def _free(self, name: str) -> None:
        await self._leases.update_one(
            {"_id": name, "holder": self._holder}, {"$set": {"until_s": _LONG_AGO, "released": True}}
        )

    @answering()
    async def _expired(self) -> list[str]:
        query = {"until_s": {"$lt": self._clock.now().timestamp()}, "released": False}
        return [row["_id"] for row in await self._leases.find(query, {"_id": 1}).to_list(length=None)]
