"""Lease on a service's stores: its processes side by side, or one rebuilding of the stores, never both.

A holder keeps a document of its own and renews it. A newcomer looks for other holders, writes its document
and looks again. Of two newcomers at once, at least one sees the other and gives way. An owner thought dead
finds its document gone.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from pymongo.errors import PyMongoError

from winnow.contracts.errors import Unavailable
from winnow.runtime.clock import Clock
from winnow.runtime.log import get_logger

if TYPE_CHECKING:
    from motor.motor_asyncio import AsyncIOMotorDatabase

_log = get_logger(__name__)
LEASE_S: Final = 15.0
"""A holder that was killed counts for this long after its last renewal; clocks must agree far better than this."""
RENEW_S: Final = 5.0


class Purpose(StrEnum):
    """Purpose for which the stores are held."""

    serving = "serving"
    """By a process of the service; any number of them at once."""
    rebuilding = "rebuilding"
    """By one that makes them again, and by nobody else."""


class StoreLease:
    """A hold on the stores of one service. ``holder`` names this process and no other."""

    def __init__(
        self, database: AsyncIOMotorDatabase[Any], clock: Clock, holder: str, purpose: Purpose
    ) -> None:
        """Prepare; nothing is held before ``take``."""
        self._leases = database["store_leases"]
        self._clock = clock
        self._holder = holder
        self._purpose = purpose
        self._is_held = False

    async def take(self) -> None:
        """Hold the stores; raises Unavailable, which names who keeps them, and PyMongoError."""
        await self.check_alone()
        row = {"purpose": self._purpose.value, "until_s": self._until_s()}
        await self._leases.update_one({"_id": self._holder}, {"$set": row}, upsert=True)
        self._is_held = True
        try:
            await self.check_alone()
        except Unavailable:
            await self.release()
            raise
        if self._purpose is Purpose.rebuilding:
            await self._leases.delete_many({"until_s": {"$lte": self._now_s()}})

    async def check_alone(self) -> None:
        """Raise Unavailable while someone holds the stores who may not beside us."""
        query: dict[str, Any] = {"_id": {"$ne": self._holder}, "until_s": {"$gt": self._now_s()}}
        if self._purpose is Purpose.serving:
            query["purpose"] = Purpose.rebuilding.value
        rows = await self._leases.find(query).to_list(length=None)
        if rows:
            names = ", ".join(
                f"{row['_id']} ({row['purpose']}, until {_text(row['until_s'])})" for row in rows
            )
            detail = f"its stores are held by {names}; one that was killed counts {LEASE_S:.0f} s longer"
            raise Unavailable(detail)

    async def run(self) -> None:
        """Renew for as long as it is held; raises Unavailable when the stores were, or are being, made again."""
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                if self._is_held:
                    await self.renew()
            except PyMongoError as error:
                _log.warning("stores.lease.renewal_failed", error=type(error).__name__)

    async def renew(self) -> None:
        """Hold on for LEASE_S; raises Unavailable when the lease was lost, and PyMongoError."""
        query = {"_id": self._holder}
        answer = await self._leases.update_one(query, {"$set": {"until_s": self._until_s()}})
        if not answer.matched_count:
            detail = "the lease on the stores was lost: they were made again"
            raise Unavailable(detail)
        await self.check_alone()

    async def release(self) -> None:
        """Return the stores up; does nothing when they are not held. Raises PyMongoError."""
        if self._is_held:
            self._is_held = False
            await self._leases.delete_one({"_id": self._holder})

    def _now_s(self) -> float:
        return self._clock.now().timestamp()

    def _until_s(self) -> float:
        return self._now_s() + LEASE_S


def _text(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds")
