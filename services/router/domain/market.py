"""Supply at a moment, as the router knows it: the catalogue with the learnt rates, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from services.router.domain.catalogue import Catalogue, Offering, Template
from services.router.domain.choice import Considered, choose
from services.router.domain.planning import Estimate
from winnow.contracts.values import Mode


@dataclass(frozen=True, slots=True)
class Rates:
    """Learnt rates of an offering. ``pass_rate_ppm`` is per (template, version)."""

    success_rate_ppm: int
    latency_ms: int
    overhead_ppm: int = 0
    pass_rate_ppm: Mapping[tuple[str, int], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MarketSnapshot:
    """A snapshot that decisions are taken under; the plan records what it assumed of it."""

    catalogue: Catalogue
    rates: Mapping[str, Rates]
    day: date

    def consider(self, template: Template, mode: Mode, *, width: int, height: int) -> tuple[Considered, ...]:
        """Return every capable and priced offering, as if each could start now."""
        capable = self.catalogue.capable(template, mode, width=width, height=height)
        considered = (self._considered(offering, template, width, height) for offering in capable)
        return tuple(offer for offer in considered if offer is not None)

    def _considered(
        self, offering: Offering, template: Template, width: int, height: int
    ) -> Considered | None:
        price = offering.price_on(self.day, width=width, height=height)
        if price is None:
            return None
        rates = self.rates.get(offering.name)
        prior_ppm = pass_prior_ppm(offering, template)
        return Considered(
            offering=offering.name,
            provider=offering.provider,
            price_usd_micro=price,
            success_rate_ppm=rates.success_rate_ppm if rates else offering.success_prior_ppm,
            pass_rate_ppm=(
                rates.pass_rate_ppm.get((template.name, template.version), prior_ppm) if rates else prior_ppm
            ),
            latency_ms=rates.latency_ms if rates else offering.latency_prior_ms,
            slots_free=1,
            overhead_ppm=rates.overhead_ppm if rates else 0,
        )

    def estimate(self, name: str, version: int, mode: Mode, *, width: int, height: int) -> Estimate | None:
        """Return the price and pass rate of the offering the mode would choose; None: nothing fits."""
        template = self.catalogue.template(name, version)
        if template is None or mode not in template.modes:
            return None
        considered = self.consider(template, mode, width=width, height=height)
        choice = choose(considered, template.modes[mode])
        for offer in considered:
            if offer.offering == choice.offering:
                return Estimate(offer.pass_rate_ppm, offer.price_usd_micro, offer.offering)
        return None

    def cheapest_usd_micro(self, template: Template, mode: Mode, *, width: int, height: int) -> int | None:
        """Return the least list price of one image; None when nothing fits."""
        considered = self.consider(template, mode, width=width, height=height)
        return min((offer.price_usd_micro for offer in considered), default=None)


def pass_prior_ppm(offering: Offering, template: Template) -> int:
    """Return the assumed pass rate before any verdict: the offering's own, else the template's."""
    return offering.pass_prior_ppm.get(template.name, template.rounds.pass_rate_prior_ppm)
