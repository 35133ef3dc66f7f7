"""Health of an offering: learnt rates, two circuit breakers (faults, quality), adaptive concurrency.

All values are immutable and local to a replica; times are monotonic seconds given by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from math import exp2, sqrt
from typing import Final

from services.router.domain.catalogue import PPM

FAULT_WEIGHT: Final = 0.2
"""Weight of the newest attempt in the moving averages of faults and latency."""
FAULTS_IN_A_ROW: Final = 3
FAULT_SHARE_MAX: Final = 0.5
OPEN_FIRST_S: Final = 5.0
OPEN_MAX_S: Final = 60.0
"""A probe every 5 s costs the same as one every 120 s: outages last longer (docs/design.md#breakers-and-probes)."""
VERDICT_DECAY: Final = 0.98
"""A verdict's weight halves after about 34 newer ones."""
PRIOR_WEIGHT: Final = 10.0
QUALITY_VERDICTS_MIN: Final = 12.0
QUALITY_SHARE_OF_PRIOR: Final = 0.35
QUALITY_OPEN_S: Final = 30.0
VERDICT_HALF_LIFE_S: Final = 600.0
HOPE_DEVIATIONS: Final = 0.5
CONCURRENCY_BACKOFF: Final = 0.5
SUCCESS_PRIOR_WEIGHT: Final = 10.0


class BreakerState(StrEnum):
    """Closed lets all through, open none, half_open one canary."""

    closed = "closed"
    open = "open"
    half_open = "half_open"


class HealthSignal(StrEnum):
    """Health signal of an attempt about its offering; ``neutral`` is the request's own fault."""

    success = "success"
    fault = "fault"
    throttled = "throttled"
    neutral = "neutral"


@dataclass(frozen=True, slots=True)
class Breaker:
    """A circuit breaker; ``canary_out`` is true while the one call of half_open is out."""

    state: BreakerState = BreakerState.closed
    until_s: float = 0.0
    open_for_s: float = OPEN_FIRST_S
    canary_out: bool = False

    def at(self, now_s: float) -> Breaker:
        """Return the breaker at a time: an open one becomes half_open when its time is over."""
        if self.state is BreakerState.open and now_s >= self.until_s:
            return replace(self, state=BreakerState.half_open, canary_out=False)
        return self

    def admits(self, now_s: float) -> bool:
        """Return whether a call may pass now."""
        current = self.at(now_s)
        if current.state is BreakerState.half_open:
            return not current.canary_out
        return current.state is BreakerState.closed

    def started(self, now_s: float) -> Breaker:
        """Note a call that was let through."""
        current = self.at(now_s)
        if current.state is BreakerState.half_open:
            return replace(current, canary_out=True)
        return current

    def tripped(self, now_s: float, *, first_s: float) -> Breaker:
        """Open it; for longer each time it opens out of half_open."""
        current = self.at(now_s)
        again = current.state is BreakerState.half_open
        open_for_s = min(OPEN_MAX_S, self.open_for_s * 2) if again else first_s
        return Breaker(BreakerState.open, now_s + open_for_s, open_for_s)

    def released(self) -> Breaker:
        """Take the canary back without a finding."""
        return replace(self, canary_out=False)


@dataclass(frozen=True, slots=True)
class Quality:
    """Verdicts on an offering's candidates for one template, decayed, and the quality breaker."""

    prior_ppm: int
    passed: float = 0.0
    scored: float = 0.0
    breaker: Breaker = Breaker()
    learnt_at_s: float = 0.0

    @property
    def pass_rate_ppm(self) -> int:
        """Return the learnt pass rate: the prior counts as ten verdicts."""
        prior = self.prior_ppm / PPM * PRIOR_WEIGHT
        return round((prior + self.passed) / (PRIOR_WEIGHT + self.scored) * PPM)

    def hopeful_rate_ppm(self, now_s: float) -> int:
        """Return the rate that a choice uses: the learnt rate plus half a standard deviation.

        Old verdicts weigh half after each ten minutes, so an offering that did badly is tried again in time.
        This explores without randomness (upper confidence bound).
        """
        weight = exp2(-max(0.0, now_s - self.learnt_at_s) / VERDICT_HALF_LIFE_S)
        prior = self.prior_ppm / PPM * PRIOR_WEIGHT
        total = PRIOR_WEIGHT + self.scored * weight
        rate = (prior + self.passed * weight) / total
        hope = HOPE_DEVIATIONS * sqrt(max(0.0, rate * (1.0 - rate)) / total)
        return min(PPM, round((rate + hope) * PPM))

    def after_verdicts(self, *, passed: int, scored: int, now_s: float) -> Quality:
        """Learn from a chunk's verdicts; open the breaker when the pass rate collapsed."""
        if scored <= 0:
            return self
        decay = VERDICT_DECAY**scored
        passes, total = self.passed * decay + passed, self.scored * decay + scored
        breaker = self.breaker.at(now_s)
        floor = self.prior_ppm / PPM * QUALITY_SHARE_OF_PRIOR
        if breaker.state is BreakerState.half_open:
            if passed / scored > floor:
                # The old verdicts were about another state of the model: forget them.
                return Quality(self.prior_ppm, float(passed), float(scored), learnt_at_s=now_s)
            breaker = breaker.tripped(now_s, first_s=QUALITY_OPEN_S)
        elif (
            breaker.state is BreakerState.closed and total >= QUALITY_VERDICTS_MIN and passes / total < floor
        ):
            breaker = breaker.tripped(now_s, first_s=QUALITY_OPEN_S)
        return Quality(self.prior_ppm, passes, total, breaker, now_s)


@dataclass(frozen=True, slots=True)
class Health:
    """An offering's health as one replica sees it. ``limit`` is the concurrency it may use now."""

    concurrency_limit: int
    limit: float
    latency_ms: float
    success_prior: float
    successes: float = 0.0
    attempts: float = 0.0
    wasted: float = 0.0
    faults: float = 0.0
    faults_in_a_row: int = 0
    breaker: Breaker = Breaker()
    blocked_until_s: float = 0.0
    drained: bool = False
    in_flight: int = 0

    @classmethod
    def fresh(cls, *, concurrency_limit: int, latency_prior_ms: int, success_prior_ppm: int) -> Health:
        """Start from the catalogue's priors."""
        return cls(
            concurrency_limit=concurrency_limit,
            limit=float(concurrency_limit),
            latency_ms=float(latency_prior_ms),
            success_prior=success_prior_ppm / PPM,
        )

    @property
    def success_rate_ppm(self) -> int:
        """Return the learnt share of attempts that succeed: the prior counts as ten attempts."""
        prior = self.success_prior * SUCCESS_PRIOR_WEIGHT
        share = (prior + self.successes) / (SUCCESS_PRIOR_WEIGHT + self.attempts)
        return round(share * PPM)

    @property
    def overhead_ppm(self) -> int:
        """Return the share of attempts that were billed and brought nothing."""
        return round(self.wasted / (SUCCESS_PRIOR_WEIGHT + self.attempts) * PPM)

    @property
    def slots_free(self) -> int:
        """Return how many more attempts the adaptive limit allows."""
        return max(0, int(self.limit) - self.in_flight)

    def refusal(self, now_s: float) -> str | None:
        """Return the reason why no attempt may start now, or None (slots apart)."""
        if self.drained:
            return "drained"
        if now_s < self.blocked_until_s:
            return "retry_after"
        if not self.breaker.admits(now_s):
            return "breaker_open"
        return None

    def started(self, now_s: float) -> Health:
        """Note an attempt that starts."""
        return replace(self, in_flight=self.in_flight + 1, breaker=self.breaker.started(now_s))

    def ended(
        self,
        signal: HealthSignal,
        *,
        latency_ms: int,
        now_s: float,
        retry_after_s: float | None = None,
        was_wasted: bool = False,
    ) -> Health:
        """Learn from an attempt that ended; ``was_wasted``: billed without a result."""
        wasted = self.wasted * VERDICT_DECAY + (1.0 if was_wasted else 0.0)
        ended = replace(self, in_flight=max(0, self.in_flight - 1), wasted=wasted)
        match signal:
            case HealthSignal.success:
                return _succeeded(ended, latency_ms, now_s)
            case HealthSignal.fault:
                return _faulted(ended, now_s, retry_after_s)
            case HealthSignal.throttled:
                return _throttled(ended, now_s, retry_after_s)
            case HealthSignal.neutral:
                return replace(ended, breaker=ended.breaker.released())


def _succeeded(health: Health, latency_ms: int, now_s: float) -> Health:
    limit = min(float(health.concurrency_limit), health.limit + 1.0 / max(1.0, health.limit))
    half_open = health.breaker.at(now_s).state is BreakerState.half_open
    return replace(
        health,
        limit=limit,
        latency_ms=health.latency_ms + FAULT_WEIGHT * (latency_ms - health.latency_ms),
        successes=health.successes * VERDICT_DECAY + 1.0,
        attempts=health.attempts * VERDICT_DECAY + 1.0,
        faults=0.0 if half_open else health.faults * (1.0 - FAULT_WEIGHT),
        faults_in_a_row=0,
        breaker=Breaker() if half_open else health.breaker,
    )


def _faulted(health: Health, now_s: float, retry_after_s: float | None) -> Health:
    faults = health.faults * (1.0 - FAULT_WEIGHT) + FAULT_WEIGHT
    in_a_row = health.faults_in_a_row + 1
    state = health.breaker.at(now_s).state
    trips = state is BreakerState.half_open or (
        state is BreakerState.closed and (in_a_row >= FAULTS_IN_A_ROW or faults > FAULT_SHARE_MAX)
    )
    return replace(
        health,
        limit=max(1.0, health.limit * CONCURRENCY_BACKOFF),
        successes=health.successes * VERDICT_DECAY,
        attempts=health.attempts * VERDICT_DECAY + 1.0,
        faults=faults,
        faults_in_a_row=in_a_row,
        breaker=health.breaker.tripped(now_s, first_s=OPEN_FIRST_S) if trips else health.breaker,
        blocked_until_s=max(health.blocked_until_s, now_s + (retry_after_s or 0.0)),
    )


def _throttled(health: Health, now_s: float, retry_after_s: float | None) -> Health:
    wait_s = retry_after_s if retry_after_s is not None else 1.0
    return replace(
        health,
        limit=max(1.0, health.limit * CONCURRENCY_BACKOFF),
        blocked_until_s=max(health.blocked_until_s, now_s + wait_s),
        breaker=health.breaker.released(),
    )
