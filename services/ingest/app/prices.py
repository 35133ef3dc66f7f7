"""Prices, costs and balances for the hot path: short-lived answers of ledger and router."""

from __future__ import annotations

from typing import Final

from services.ingest.app.ports import Ledger, Router
from services.ingest.app.ttl_cache import TtlCache
from services.ingest.domain.catalogue import Template
from services.ingest.domain.orders import CostQuote, Price, check_credits
from winnow.contracts.values import Mode
from winnow.runtime.clock import Clock

_BALANCE_LIFETIME_S: Final = 1.0


class Prices:
    """Price of an order, and whether its account can pay. The ledger alone decides; this only spares trips."""

    def __init__(self, ledger: Ledger, router: Router, clock: Clock, lifetime_s: float) -> None:
        """Keep quotes ``lifetime_s`` seconds."""
        self._ledger = ledger
        self._router = router
        self._prices: TtlCache[tuple[str, int, Mode, int], Price] = TtlCache(clock, lifetime_s)
        self._costs: TtlCache[tuple[str, int, Mode, int], CostQuote] = TtlCache(clock, lifetime_s)
        self._available: TtlCache[str, int] = TtlCache(clock, _BALANCE_LIFETIME_S)

    async def price(self, template: Template, mode: Mode, k: int) -> Price:
        """Return the price in credits."""
        return await self._prices.get(
            (template.name, template.version, mode, k), lambda: self._ledger.quote(template.ref, mode, k)
        )

    async def cost(self, template: Template, mode: Mode, k: int) -> CostQuote:
        """Return the expected cost at providers."""
        return await self._costs.get(
            (template.name, template.version, mode, k), lambda: self._router.quote(template.ref, mode, k)
        )

    async def check_credits(self, account_id: str, price: Price) -> None:
        """Raise Refused with ``insufficient_credits`` unless the account can reserve the price now.

        A young balance may say yes; only a fresh one may say no.
        """
        young = self._available.peek(account_id)
        if young is None or young[0] < price.reserve_credits_micro:
            fresh = await self._fresh(account_id)
            check_credits(price, fresh)
            young = (fresh,)
        # What this order takes is gone for the next one; the entry keeps no longer than before.
        self._available.amend(account_id, young[0] - price.reserve_credits_micro)

    def forget_balance(self, account_id: str) -> None:
        """Ask for the balance afresh next time."""
        self._available.forget(account_id)

    async def _fresh(self, account_id: str) -> int:
        balance = await self._ledger.balance(account_id)
        self._available.put(account_id, balance.available_credits_micro)
        return balance.available_credits_micro
