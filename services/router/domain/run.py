"""A task run: its state, folded from its own events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from services.router.domain.catalogue import RoundPolicy
from winnow.contracts.events import (
    TaskAccepted,
)
from winnow.contracts.values import (
    OutcomeClass,
    ProviderCost,
    StoredObject,
)


class Phase(StrEnum):
    """Phase of the run. ``dismissed`` is a task that ended before it was funded."""

    unseen = "unseen"
    accepted = "accepted"
    dismissed = "dismissed"
    running = "running"
    selected = "selected"
    failed = "failed"
    cancelled = "cancelled"


class CandidateState(StrEnum):
    """State of a candidate. ``pending`` waits for an attempt, ``generated`` for its verdict."""

    pending = "pending"
    in_flight = "in_flight"
    generated = "generated"
    passed = "passed"
    rejected = "rejected"
    failed = "failed"


SETTLED = frozenset({CandidateState.passed, CandidateState.rejected, CandidateState.failed})


@dataclass(frozen=True, slots=True)
class Candidate:
    """One candidate. ``tried`` names the offerings that did not bring it, in order."""

    candidate_id: str
    round_index: int
    index: int
    seed: int
    state: CandidateState = CandidateState.pending
    attempt_id: str | None = None
    offering: str | None = None
    tried: tuple[str, ...] = ()
    stored: StoredObject | None = None
    score: float = 0.0
    perceptual_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One provider call. ``outcome`` is None while it is out; then ``actual_cost_usd_micro`` holds."""

    attempt_id: str
    round_index: int
    candidate_ids: tuple[str, ...]
    offering: str
    provider: str
    try_number: int
    expected_cost_usd_micro: int
    submitted_at: datetime
    reference: str | None = None
    handle: Mapping[str, str] = field(default_factory=dict)
    is_overdue: bool = False
    outcome: OutcomeClass | None = None
    actual_cost_usd_micro: int = 0

    @property
    def cost_usd_micro(self) -> int:
        """Return what counts against the cap: expected while it is out, then actual."""
        if self.outcome is None:
            return self.expected_cost_usd_micro
        return self.actual_cost_usd_micro


@dataclass(frozen=True, slots=True)
class Run:
    """The whole state, folded from the run's own events."""

    task_id: str
    phase: Phase = Phase.unseen
    order: TaskAccepted | None = None
    policy: RoundPolicy | None = None
    correlation_id: str = ""
    traceparent: str | None = None
    reserved_credits_micro: int = 0
    funded_at: datetime | None = None
    cancel_seen: bool = False
    round_index: int = 0
    round_open: bool = False
    candidates: Mapping[str, Candidate] = field(default_factory=dict)
    attempts: Mapping[str, Attempt] = field(default_factory=dict)
    chunks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scored_count: int = 0
    passed_count: int = 0

    @property
    def known_order(self) -> TaskAccepted:
        """Return the order; only for a run that was opened."""
        if self.order is None:
            raise ValueError("a run without an order has nothing to decide")
        return self.order

    @property
    def committed_usd_micro(self) -> int:
        """Return what is spent or may be: the sum that never exceeds the cost cap at a submit."""
        return sum(attempt.cost_usd_micro for attempt in self.attempts.values())

    @property
    def outstanding(self) -> tuple[Attempt, ...]:
        """Return the attempts whose outcome is not known yet."""
        return tuple(attempt for attempt in self.attempts.values() if attempt.outcome is None)

    def awaits(self, attempt_id: str) -> bool:
        """Return whether an attempt of this run is out."""
        attempt = self.attempts.get(attempt_id)
        return attempt is not None and attempt.outcome is None

    @property
    def pending(self) -> tuple[Candidate, ...]:
        """Return the candidates that wait for an attempt, in the order of the plan."""
        if self.phase is not Phase.running:
            return ()
        return tuple(
            candidate for candidate in self.candidates.values() if candidate.state is CandidateState.pending
        )

    @property
    def cost(self) -> ProviderCost:
        """Return the bill so far; an attempt that is still out counts as its expected cost."""
        return ProviderCost(
            expected_usd_micro=sum(a.expected_cost_usd_micro for a in self.attempts.values()),
            actual_usd_micro=self.committed_usd_micro,
            attempts_count=len(self.attempts),
        )
