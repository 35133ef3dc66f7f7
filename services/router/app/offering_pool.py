"""Health and learnt rates of the offerings, as this replica sees them; snapshots for decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from services.router.domain.catalogue import Catalogue, Offering, Template
from services.router.domain.choice import Choice, Considered, choose
from services.router.domain.health import BreakerState, Health, HealthSignal, Quality
from services.router.domain.market import MarketSnapshot, Rates, pass_prior_ppm
from services.router.domain.run import CandidateState, Run
from winnow.contracts.errors import NotFound
from winnow.contracts.values import Mode
from winnow.runtime.clock import Clock

_SNAPSHOT_S: Final = 0.25
"""A snapshot is shared for so long: rates move slowly, and a batch of messages needs one."""


class OfferingPool:
    """The offerings with what was learnt of them, from which snapshots are taken. One event loop only; no method waits."""

    def __init__(self, catalogue: Catalogue, clock: Clock) -> None:
        """Start from the catalogue's priors."""
        self.catalogue = catalogue
        self._clock = clock
        self._health: dict[str, Health] = {
            name: Health.fresh(
                concurrency_limit=offering.concurrency_limit,
                latency_prior_ms=offering.latency_prior_ms,
                success_prior_ppm=offering.success_prior_ppm,
            )
            for name, offering in catalogue.offerings.items()
        }
        self._quality: dict[tuple[str, str, int], Quality] = {}
        self._market: tuple[float, MarketSnapshot] | None = None

    @property
    def in_flight(self) -> int:
        """Return the attempts that are out, over all offerings."""
        return sum(health.in_flight for health in self._health.values())

    def health(self, offering: str) -> Health:
        """Return an offering's health; raises NotFound."""
        if offering not in self._health:
            raise NotFound("there is no such offering")
        return self._health[offering]

    def market(self) -> MarketSnapshot:
        """Return the snapshot that decisions are taken under."""
        now_s = self._clock.monotonic_s()
        if self._market is None or now_s - self._market[0] > _SNAPSHOT_S:
            self._market = (now_s, self._snapshot())
        return self._market[1]

    def _snapshot(self) -> MarketSnapshot:
        rates = {
            name: Rates(
                success_rate_ppm=health.success_rate_ppm,
                latency_ms=round(health.latency_ms),
                overhead_ppm=health.overhead_ppm,
                pass_rate_ppm={
                    (template, version): quality.pass_rate_ppm
                    for (offering, template, version), quality in self._quality.items()
                    if offering == name
                },
            )
            for name, health in self._health.items()
        }
        return MarketSnapshot(self.catalogue, rates, self._clock.now().date())

    def choose(
        self,
        template: Template,
        mode: Mode,
        *,
        width: int,
        height: int,
        tried: frozenset[str] = frozenset(),
        price_max_usd_micro: int | None = None,
    ) -> Choice:
        """Choose the offering for an attempt that starts now; see ``choose``."""
        now_s = self._clock.monotonic_s()
        considered = [
            self._as_it_stands(offer, template, now_s, tried)
            for offer in self.market().consider(template, mode, width=width, height=height)
        ]
        return choose(considered, template.modes[mode], price_max_usd_micro=price_max_usd_micro)

    def _as_it_stands(
        self, offer: Considered, template: Template, now_s: float, tried: frozenset[str]
    ) -> Considered:
        health = self._health[offer.offering]
        quality = self._quality_of(self.catalogue.offerings[offer.offering], template)
        refusal = health.refusal(now_s)
        if refusal is None and not quality.breaker.admits(now_s):
            refusal = "quality_breaker_open"
        return replace(
            offer,
            pass_rate_ppm=quality.hopeful_rate_ppm(now_s),
            slots_free=health.slots_free,
            refusal=refusal,
            tried=offer.offering in tried,
        )

    def _quality_of(self, offering: Offering, template: Template) -> Quality:
        key = (offering.name, template.name, template.version)
        return self._quality.get(key) or Quality(pass_prior_ppm(offering, template))

    def started(self, offering: str, template: Template) -> None:
        """Take a slot of an offering, and the canary of a half-open breaker."""
        now_s = self._clock.monotonic_s()
        self._health[offering] = self._health[offering].started(now_s)
        quality = self._quality_of(self.catalogue.offerings[offering], template)
        key = (offering, template.name, template.version)
        self._quality[key] = replace(quality, breaker=quality.breaker.started(now_s))

    def took_over(self, offering: str) -> None:
        """Count an attempt that another replica, or an earlier start of this one, submitted."""
        if offering in self._health:
            health = self._health[offering]
            self._health[offering] = replace(health, in_flight=health.in_flight + 1)

    def ended(
        self,
        offering: str,
        signal: HealthSignal,
        *,
        latency_ms: int = 0,
        retry_after_s: float | None = None,
        was_wasted: bool = False,
    ) -> None:
        """Release the slot and learn from the outcome."""
        if offering not in self._health:
            return
        self._health[offering] = self._health[offering].ended(
            signal,
            latency_ms=latency_ms,
            now_s=self._clock.monotonic_s(),
            retry_after_s=retry_after_s,
            was_wasted=was_wasted,
        )

    def release_canary(self, offering: str, template: str, version: int) -> None:
        """Let the quality breaker send another canary: this one brought nothing to score."""
        key = (offering, template, version)
        quality = self._quality.get(key)
        if quality is not None:
            self._quality[key] = replace(quality, breaker=quality.breaker.released())

    def learn(self, run: Run, candidate_ids: Iterable[str]) -> None:
        """Learn from verdicts, by the offering that made each candidate."""
        if run.order is None:
            return
        counts: dict[str, tuple[int, int]] = {}
        for candidate_id in candidate_ids:
            candidate = run.candidates.get(candidate_id)
            made_by = candidate.offering if candidate is not None else None
            if candidate is None or made_by is None or made_by not in self._health:
                continue
            passed, scored = counts.get(made_by, (0, 0))
            has_passed = candidate.state is CandidateState.passed
            counts[made_by] = (passed + has_passed, scored + 1)
        template = self.catalogue.template(run.order.template.name, run.order.template.version)
        if template is None:
            return
        now_s = self._clock.monotonic_s()
        for name, (passed, scored) in counts.items():
            quality = self._quality_of(self.catalogue.offerings[name], template)
            self._quality[name, template.name, template.version] = quality.after_verdicts(
                passed=passed, scored=scored, now_s=now_s
            )

    def drain(self, offering: str, *, drained: bool) -> Health:
        """Stop sending attempts to an offering, or start again; raises NotFound."""
        self._health[offering] = replace(self.health(offering), drained=drained)
        return self._health[offering]

    def breaker_of(self, offering: str) -> BreakerState:
        """Return the worse of the fault breaker and the quality breakers."""
        now_s = self._clock.monotonic_s()
        states = [self._health[offering].breaker.at(now_s).state]
        states += [
            quality.breaker.at(now_s).state
            for (name, _, _), quality in self._quality.items()
            if name == offering
        ]
        for state in (BreakerState.open, BreakerState.half_open):
            if state in states:
                return state
        return BreakerState.closed

    def pass_rate_ppm(self, offering: str) -> int:
        """Return the mean learnt pass rate over templates; the mean prior before any verdict."""
        learnt = [q.pass_rate_ppm for (name, _, _), q in self._quality.items() if name == offering]
        priors: Mapping[str, int] = self.catalogue.offerings[offering].pass_prior_ppm
        known = learnt or list(priors.values())
        return sum(known) // len(known) if known else 0
