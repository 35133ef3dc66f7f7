"""Lease of the HTTP shard that this instance writes: leased, renewed, and adopted whole when its holder is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from services.ingest.store.calls import answering
from winnow.contracts.errors import Unavailable
from winnow.runtime.clock import Clock
from winnow.runtime.log import get_logger

if TYPE_CHECKING:
    from motor.motor_asyncio import AsyncIOMotorDatabase

_log = get_logger(__name__)
LEASE_S: Final = 15.0
_RENEW_S: Final = 5.0
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
        self._until: datetime | None = None
        self._adopted: set[str] = set()
        self._leaving = False

    def shard(self) -> str | None:
        """Return the shard to write to; None while there is none, or its lease could not be renewed in time."""
        if self._own is None or self._until is None or self._clock.now() >= self._until:
            return None
        return self._own

    async def claim(self) -> None:
        """Claim the first shard that nobody holds, and take it over whole."""
        for number in range(_SHARDS_MAX):
            name = f"http-{number}"
            until = self._clock.now() + timedelta(seconds=LEASE_S)
            if await self._take(name, until):
                self._own, self._until = name, until
                self._journal.assign([name])
                _log.info("ingest.lease.claimed", shard=name)
                return
        raise Unavailable("Every HTTP shard is held.")

    async def run(self) -> None:
        """Renew and adopt until cancelled."""
        while True:
            await asyncio.sleep(_RENEW_S)
            if self._leaving:
                continue
            try:
                await self._renew()
                await self._adopt()
            except Unavailable:
                # The lease runs out by itself when this lasts; `shard` then gives none.
                _log.warning("ingest.lease.renewal_failed")

    async def release(self) -> None:
        """Release everything; call when the journal is drained."""
        self._leaving = True
        names = [*self._adopted, *([self._own] if self._own else [])]
        self._own = None
        self._journal.revoke(names)
        for name in names:
            await self._free(name)

    async def _renew(self) -> None:
        if self._own is None:
            await self.claim()
            return
        until = self._clock.now() + timedelta(seconds=LEASE_S)
        if await self._extend(self._own, until):
            self._until = until
            return
        _log.warning("ingest.lease.lost", shard=self._own)
        lost, self._own = self._own, None
        self._journal.revoke([lost])
        await self.claim()

    async def _adopt(self) -> None:
        for name in await self._expired():
            until = self._clock.now() + timedelta(seconds=LEASE_S)
            if name != self._own and await self._take(name, until):
                self._adopted.add(name)
                self._journal.assign([name])
                _log.info("ingest.lease.adopted", shard=name)
        for name in list(self._adopted):
            if not await self._unsent(name):
                self._adopted.discard(name)
                self._journal.revoke([name])
                await self._free(name)
            elif not await self._extend(name, self._clock.now() + timedelta(seconds=LEASE_S)):
                self._adopted.discard(name)
                self._journal.revoke([name])

    @answering
    async def _take(self, name: str, until: datetime) -> bool:
        now = self._clock.now().timestamp()
        try:
            row = await self._leases.find_one_and_update(
                {"_id": name, "until_s": {"$lt": now}},
                {"$set": {"holder": self._holder, "until_s": until.timestamp(), "released": False}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:
            return False
        return row is not None and row["holder"] == self._holder

    @answering
    async def _extend(self, name: str, until: datetime) -> bool:
        answer = await self._leases.update_one(
            {"_id": name, "holder": self._holder}, {"$set": {"until_s": until.timestamp()}}
        )
        return bool(answer.matched_count)

    @answering
    async def _free(self, name: str) -> None:
        await self._leases.update_one(
            {"_id": name, "holder": self._holder}, {"$set": {"until_s": _LONG_AGO, "released": True}}
        )

    @answering
    async def _expired(self) -> list[str]:
        query = {"until_s": {"$lt": self._clock.now().timestamp()}, "released": False}
        return [row["_id"] for row in await self._leases.find(query, {"_id": 1}).to_list(length=None)]
