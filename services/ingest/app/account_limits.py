"""Limits of an account, as operators set them."""

from __future__ import annotations

from typing import Final

from services.ingest.app.ports import AccountSettings
from services.ingest.app.ttl_cache import TtlCache
from services.ingest.domain.orders import DEFAULT_PRIORITY
from winnow.runtime.clock import Clock

LIMITS_LIFETIME_S: Final = 2.0
"""Seconds for which a limit is believed without a look-up: a change is effective everywhere after it, as for keys."""


class AccountLimits:
    """The highest priority of each account."""

    def __init__(self, settings: AccountSettings, clock: Clock) -> None:
        """Remember each answer for two seconds."""
        self._settings = settings
        self._known: TtlCache[str, int] = TtlCache(clock, LIMITS_LIFETIME_S)

    async def priority_max(self, account_id: str) -> int:
        """Return the highest priority that the account may ask for, 5 unless an operator has set another."""
        return await self._known.get(account_id, lambda: self._find(account_id))

    async def set_priority_max(self, account_id: str, priority_max: int) -> None:
        """Set it; effective here at once and everywhere within two seconds."""
        await self._settings.set_priority_max(account_id, priority_max)
        self._known.forget(account_id)

    async def _find(self, account_id: str) -> int:
        found = await self._settings.priority_max(account_id)
        return DEFAULT_PRIORITY if found is None else found
