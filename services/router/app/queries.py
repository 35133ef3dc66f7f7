"""Queries to the router: cost quotes, the offerings as they stand, places in the queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from services.router.app.dispatcher import Dispatcher
from services.router.app.offering_pool import OfferingPool
from services.router.domain.catalogue import PPM, Catalogue, Offering, Template
from services.router.domain.health import Health
from services.router.domain.planning import plan_count
from services.router.domain.run import Run
from winnow.contracts.errors import ErrorCode, NotFound, Refused
from winnow.contracts.money import div_ceil
from winnow.contracts.values import Mode
from winnow.runtime.clock import Clock

QUOTED_SIZE: Final = 1024
"""Quotes and listed prices are for square pictures of this size."""


@dataclass(frozen=True, slots=True)
class CostQuote:
    """Expected cost of an order at providers, in USD micro."""

    expected_cost_usd_micro: int
    cheapest_cost_usd_micro: int
    candidates_expected: int
    cost_cap_default_usd_micro: int


@dataclass(frozen=True, slots=True)
class OfferingView:
    """An offering as this replica sees it."""

    offering: Offering
    price_usd_micro: int
    breaker: str
    health: Health
    pass_rate_ppm: int
    is_retired: bool = False


class RouterQueries:
    """Answers from what this replica knows; no method waits."""

    def __init__(
        self,
        catalogue: Catalogue,
        pool: OfferingPool,
        dispatcher: Dispatcher,
        run_of: Callable[[str], Run | None],
        clock: Clock,
    ) -> None:
        """Read the pool and the dispatcher; ``run_of`` finds an open run."""
        self._catalogue = catalogue
        self._pool = pool
        self._dispatcher = dispatcher
        self._run_of = run_of
        self._clock = clock

    def quote(self, template: str, version: int, mode: str, k: int) -> CostQuote:
        """Quote an order at 1024 x 1024; raises NotFound or Refused."""
        found = self._template(template, version)
        if mode not in {known.value for known in found.modes}:
            raise Refused(ErrorCode.unknown_mode, "the template has no such mode")
        if k < 1:
            raise Refused(ErrorCode.out_of_bounds, "k is one or more")
        market = self._pool.market()
        estimate = market.estimate(
            found.name, found.version, Mode(mode), width=QUOTED_SIZE, height=QUOTED_SIZE
        )
        cheapest = market.cheapest_usd_micro(found, Mode(mode), width=QUOTED_SIZE, height=QUOTED_SIZE)
        if estimate is None or cheapest is None:
            raise Refused(ErrorCode.no_offering, "no offering fits this template and mode now")
        planned = plan_count(
            k,
            estimate.pass_rate_ppm,
            confidence_ppm=found.rounds.confidence_ppm,
            count_max=found.rounds.candidates_max,
        )
        expected = planned * estimate.price_usd_micro
        return CostQuote(
            expected_cost_usd_micro=expected,
            cheapest_cost_usd_micro=k * cheapest,
            candidates_expected=planned,
            cost_cap_default_usd_micro=div_ceil(expected * found.cost_cap_factor_ppm, PPM),
        )

    def _template(self, name: str, version: int) -> Template:
        found = self._catalogue.template(name, version)
        if found is None:
            raise NotFound("there is no such template version")
        return found

    def offerings(self, capability: str = "") -> list[OfferingView]:
        """List the offerings, all or those with a capability."""
        return [
            self.offering(name)
            for name, offering in sorted(self._catalogue.offerings.items())
            if not capability or capability in offering.capabilities
        ]

    def offering(self, name: str) -> OfferingView:
        """Return an offering; raises NotFound. A price of 0 means that none is valid today."""
        health = self._pool.health(name)
        offering = self._catalogue.offerings[name]
        today = self._clock.now().date()
        return OfferingView(
            offering=offering,
            price_usd_micro=offering.price_on(today, width=QUOTED_SIZE, height=QUOTED_SIZE) or 0,
            breaker=self._pool.breaker_of(name).value,
            health=health,
            pass_rate_ppm=self._pool.pass_rate_ppm(name),
            is_retired=offering.is_retired_on(today),
        )

    def queue_position(self, task_id: str, account_id: str) -> tuple[int, int]:
        """Return the place of a task's next attempt (0: none waits) and how many wait in all.

        Raises NotFound for a task of another account.
        """
        run = self._run_of(task_id)
        if run is not None and run.order is not None and run.order.account_id != account_id:
            raise NotFound("there is no such task")
        return self._dispatcher.position(task_id)
