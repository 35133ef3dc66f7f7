"""View of a task for clients: the view that the events of a task fold into."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from services.ingest.domain.public import without_provider
from winnow.contracts.states import ENDS, TaskState


class CandidateState(StrEnum):
    """State of a candidate; from ``passed`` on it could be delivered."""

    planned = "planned"
    generating = "generating"
    generated = "generated"
    generation_failed = "generation_failed"
    rejected = "rejected"
    passed = "passed"
    selected = "selected"
    set_aside = "set_aside"
    delivered = "delivered"


@dataclass(frozen=True, slots=True)
class CandidateStatus:
    """A candidate as the task's view remembers it."""

    state: CandidateState
    offering: str = ""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RoundView:
    """A round: what it was planned for and how it closed."""

    round_index: int
    planned_count: int
    wanted_count: int
    reason: str
    generated_count: int | None = None
    passed_count: int | None = None
    failed_count: int | None = None
    decision: str | None = None
    decision_reason: str | None = None


@dataclass(frozen=True, slots=True)
class RouteView:
    """One offering's part in a task so far; costs in micro-USD."""

    offering: str
    provider: str
    attempts_count: int = 0
    failed_attempts_count: int = 0
    candidates_count: int = 0
    passed_count: int = 0
    expected_cost_usd_micro: int = 0
    actual_cost_usd_micro: int = 0


@dataclass(frozen=True, slots=True)
class OutputView:
    """A delivered output, without where it lies."""

    output_id: str
    candidate_id: str
    rank: int
    score: float
    content_type: str
    width: int
    height: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Terms:
    """Terms pinned when the order was accepted."""

    template: str
    template_version: int
    mode: str
    profile: str
    profile_version: int
    k: int
    width: int
    height: int
    price_per_output_credits_micro: int
    reserve_credits_micro: int
    price_rule: str
    cost_cap_usd_micro: int
    deadline_at: datetime
    priority: int
    label: str | None
    inputs_count: int
    reservation_id: str
    accepted_at: datetime


@dataclass(frozen=True, slots=True)
class EndView:
    """End of the task."""

    at: datetime
    code: str | None = None
    reason: str | None = None
    stage: str | None = None
    missing_count: int = 0
    shortfall_credits_micro: int = 0


@dataclass(frozen=True, slots=True)
class Settlement:
    """The bill as the ledger closed it: reserved = settled + released."""

    at: datetime
    reserved_credits_micro: int
    settled_credits_micro: int
    released_credits_micro: int
    delivered_count: int
    price_per_output_credits_micro: int
    expected_cost_usd_micro: int
    actual_cost_usd_micro: int
    attempts_count: int
    reason: str


@dataclass(frozen=True, slots=True)
class TaskView:
    """Everything the read model knows of a task.

    ``offset`` is the last record folded in, ``sequences`` the last sequence of each producer and subject,
    ``chunks`` the scored chunks. With these a repeated record changes nothing. ``early`` holds event types
    that came before ``task.accepted``.
    """

    task_id: str
    account_id: str
    offset: int = -1
    sequences: Mapping[str, int] = field(default_factory=dict)
    chunks: tuple[str, ...] = ()
    early: tuple[str, ...] = ()
    events_count: int = 0
    out_of_order_count: int = 0
    state: TaskState | None = None
    terms: Terms | None = None
    updated_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    funded_at: datetime | None = None
    reserved_credits_micro: int = 0
    rounds: tuple[RoundView, ...] = ()
    routes: Mapping[str, RouteView] = field(default_factory=dict)
    candidates: Mapping[str, CandidateStatus] = field(default_factory=dict)
    outputs: tuple[OutputView, ...] = ()
    end: EndView | None = None
    settlement: Settlement | None = None

    @property
    def ended(self) -> bool:
        """Return whether the task has its end."""
        return self.state in ENDS

    @property
    def complete(self) -> bool:
        """Return whether nothing more is to come: the end, and the bill unless nothing was ever reserved."""
        return self.ended and (self.settlement is not None or self.state is TaskState.rejected)

    @property
    def expected_cost_usd_micro(self) -> int:
        """Sum what the attempts so far were expected to cost."""
        return sum(route.expected_cost_usd_micro for route in self.routes.values())

    @property
    def actual_cost_usd_micro(self) -> int:
        """Sum what the finished attempts cost."""
        return sum(route.actual_cost_usd_micro for route in self.routes.values())

    def funnel(self) -> dict[CandidateState, int]:
        """Count the candidates by state."""
        counts = Counter(status.state for status in self.candidates.values())
        return {state: counts.get(state, 0) for state in CandidateState}

    def failure_reasons(self) -> dict[str, int]:
        """Count why candidates failed, most frequent first; a candidate may have several reasons."""
        return _counted(reason for status in self._failed() for reason in status.reasons)

    def failure_reasons_without_providers(self) -> dict[str, int]:
        """Count the same as keys without the scope operator may read it; a verdict's reasons are not changed."""
        return _counted(
            without_provider(reason) if status.state is CandidateState.generation_failed else reason
            for status in self._failed()
            for reason in status.reasons
        )

    def _failed(self) -> list[CandidateStatus]:
        failed = (CandidateState.rejected, CandidateState.generation_failed)
        return [status for status in self.candidates.values() if status.state in failed]


def _counted(reasons: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(reasons).items(), key=lambda pair: (-pair[1], pair[0])))
