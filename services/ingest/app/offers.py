"""Offers: templates to order, and their quotes."""

from __future__ import annotations

from services.ingest.app.ports import Router
from services.ingest.app.prices import Prices
from services.ingest.domain.answers import Offering
from services.ingest.domain.catalogue import Catalogue, Template
from services.ingest.domain.orders import CostQuote, Price, check_k, mode_of, template_of


class Offers:
    """Templates, offerings and quotes."""

    def __init__(self, *, catalogue: Catalogue, prices: Prices, router: Router) -> None:
        """Wire the use cases."""
        self._catalogue = catalogue
        self._prices = prices
        self._router = router

    def templates(self) -> list[Template]:
        """Return the templates by name."""
        return sorted(self._catalogue.templates.values(), key=lambda template: template.name)

    async def offerings(self, capability: str) -> tuple[Offering, ...]:
        """Return the offerings, all for an empty capability."""
        return await self._router.offerings(capability)

    async def quote(self, template: str, mode: str, k: int) -> tuple[Template, Price, CostQuote]:
        """Price an order without taking it; raises Refused as placing it would."""
        found = template_of(self._catalogue, template)
        wanted = mode_of(found, mode)
        check_k(found, k)
        return found, await self._prices.price(found, wanted, k), await self._prices.cost(found, wanted, k)
