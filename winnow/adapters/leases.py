"""Lease on a service's stores: its processes side by side, or one rebuilding of the stores, never both.

A holder keeps a document of its own and renews it. A newcomer looks for other holders, writes its document
and looks again. Of two newcomers at once, at least one sees the other and gives way. An owner thought dead
finds its document gone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from winnow.adapters.mongo import answering
from winnow.runtime.clock import Clock
from winnow.runtime.lease import LEASE_S, LeaseRefused, keep_renewed, lease_end_s

if TYPE_CHECKING:
    from motor.motor_asyncio import AsyncIOMotorDatabase


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

    @answering()
    async def take(self) -> None:
        """Hold the stores; raises LeaseRefused, which names who keeps them, and Unavailable."""
        await self.check_alone()
        row = {"purpose": self._purpose.value, "until_s": lease_end_s(self._clock)}
        await self._leases.update_one({"_id": self._holder}, {"$set": row}, upsert=True)
        self._is_held = True
        try:
            await self.check_alone()
        except LeaseRefused:
            await self.release()
            raise
        if self._purpose is Purpose.rebuilding:
            await self._leases.delete_many({"until_s": {"$lte": self._clock.now().timestamp()}})

    @answering()
    async def check_alone(self) -> None:
        """Raise LeaseRefused while someone holds the stores who may not beside us."""
        now_s = self._clock.now().timestamp()
        query: dict[str, Any] = {"_id": {"$ne": self._holder}, "until_s": {"$gt": now_s}}
        if self._purpose is Purpose.serving:
            query["purpose"] = Purpose.rebuilding.value
        rows = await self._leases.find(query).to_list(length=None)
        if rows:
            names = ", ".join(
                f"{row['_id']} ({row['purpose']}, until {_text(row['until_s'])})" for row in rows
            )
            detail = f"its stores are held by {names}; one that was killed counts {LEASE_S:.0f} s longer"
            raise LeaseRefused(detail)

    async def run(self) -> None:
        """Renew for as long as it is held; raises LeaseRefused when the stores were, or are being, made again."""
        await keep_renewed(self.renew, "stores.lease.renewal_failed")

    @answering()
    async def renew(self) -> None:
        """Hold on for LEASE_S, if it is held; raises LeaseRefused when the lease was lost, and Unavailable."""
        if not self._is_held:
            return
        change = {"$set": {"until_s": lease_end_s(self._clock)}}
        answer = await self._leases.update_one({"_id": self._holder}, change)
        if not answer.matched_count:
            raise LeaseRefused("the lease on the stores was lost: they were made again")
        await self.check_alone()

    @answering()
    async def release(self) -> None:
        """Release the stores; does nothing when they are not held. Raises Unavailable."""
        if self._is_held:
            self._is_held = False
            await self._leases.delete_one({"_id": self._holder})


def _text(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds")
