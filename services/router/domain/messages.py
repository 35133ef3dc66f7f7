"""The messages that a task run decides on, and the events that only its own journal keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field

from services.router.domain.catalogue import RoundPolicy
from services.router.domain.market import MarketSnapshot
from services.router.domain.run import Run
from winnow.contracts.decider import Tick
from winnow.contracts.envelope import Event, Value
from winnow.contracts.events import (
    CandidatesScored,
    TaskAccepted,
    TaskCancelled,
    TaskCancelRequested,
    TaskFunded,
    TaskRejected,
    TaskUnfunded,
)
from winnow.contracts.ids import AttemptId, CandidateId, ChunkId, TaskId
from winnow.contracts.journals import SCORES_NOTED
from winnow.contracts.money import Micro
from winnow.contracts.upcast import Upcaster
from winnow.contracts.values import Alternative, FailedCandidate, GeneratedCandidate, OutcomeClass

# The events that stay in the router's own journal: facts of others that later decisions need.


class RunOpened(Event):
    """The order is known, with the policy it is run under."""

    type: Literal["router.run_opened"] = "router.run_opened"
    version: Literal[1] = 1
    accepted: TaskAccepted
    policy: RoundPolicy | None
    correlation_id: str = ""
    traceparent: str | None = None


class RunFunded(Event):
    """The credits are reserved: the run starts."""

    type: Literal["router.run_funded"] = "router.run_funded"
    version: Literal[1] = 1
    reserved_credits_micro: Micro


class EarlyCancelNoted(Event):
    """A cancel stands in the record before the acceptance: it is decided when that comes."""

    type: Literal["router.early_cancel_noted"] = "router.early_cancel_noted"
    version: Literal[1] = 1


class RunDismissed(Event):
    """The task ends, or ended, by ingest: the run never starts."""

    type: Literal["router.run_dismissed"] = "router.run_dismissed"
    version: Literal[1] = 1
    reason: str


class AttemptTaken(Event):
    """The provider's reference of an attempt: the owner of the run polls it, and never submits again."""

    type: Literal["router.attempt_taken"] = "router.attempt_taken"
    version: Literal[1] = 1
    attempt_id: AttemptId
    provider_reference: str
    handle: Annotated[dict[str, str], Field(default_factory=dict)]


class AttemptOverdue(Event):
    """An attempt is slower than expected: its candidates may be tried elsewhere meanwhile."""

    type: Literal["router.attempt_overdue"] = "router.attempt_overdue"
    version: Literal[1] = 1
    attempt_id: AttemptId
    candidate_ids: list[CandidateId]


class NotedScore(Value):
    """Part of a verdict that selection needs."""

    candidate_id: CandidateId
    passed: bool
    score: float
    perceptual_hash: str | None = None


class ScoresNoted(Event):
    """The verdicts of a chunk; candidates of the chunk that are missing count as rejected."""

    type: Literal["router.scores_noted"] = SCORES_NOTED
    version: Literal[1] = 1
    chunk_id: ChunkId
    candidates: list[NotedScore]


class ChunkSent(Event):
    """Candidates were sent to be scored."""

    type: Literal["router.chunk_sent"] = "router.chunk_sent"
    version: Literal[1] = 1
    task_id: TaskId
    chunk_id: ChunkId
    candidate_ids: list[CandidateId]


PRIVATE_EVENTS: tuple[type[Event], ...] = (
    RunOpened,
    RunFunded,
    EarlyCancelNoted,
    RunDismissed,
    AttemptTaken,
    AttemptOverdue,
    ScoresNoted,
    ChunkSent,
)

UPCASTERS: Final[tuple[Upcaster, ...]] = ()
"""The steps that lift older versions of the private events."""


# The messages. Those that may lead to a plan come with the market snapshot that they are decided under.

TaskFact: TypeAlias = (
    TaskAccepted
    | TaskFunded
    | TaskUnfunded
    | TaskRejected
    | TaskCancelled
    | TaskCancelRequested
    | CandidatesScored
)


@dataclass(frozen=True, slots=True)
class Observed:
    """An event of the task from another service; an accepted one comes with its template's policy."""

    event: TaskFact
    market: MarketSnapshot
    policy: RoundPolicy | None = None
    correlation_id: str = ""
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Candidates for one provider call, and the offering chosen for it."""

    candidate_ids: tuple[str, ...]
    offering: str
    provider: str
    price_usd_micro: int
    alternatives: tuple[Alternative, ...]

    @property
    def expected_cost_usd_micro(self) -> int:
        """Return the price of the call."""
        return self.price_usd_micro * len(self.candidate_ids)


@dataclass(frozen=True, slots=True)
class DispatchAttempts:
    """The turn of a task has come: submit these calls."""

    batches: tuple[Batch, ...]
    market: MarketSnapshot


@dataclass(frozen=True, slots=True)
class Turn:
    """Calls that a run may submit now, each with a slot, as an input of the run."""

    run: Run
    input_id: str
    dispatch: DispatchAttempts


@dataclass(frozen=True, slots=True)
class AttemptAccepted:
    """The provider took an attempt and gave a reference."""

    attempt_id: str
    reference: str
    handle: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AttemptSlow:
    """An attempt has taken longer than expected."""

    attempt_id: str


@dataclass(frozen=True, slots=True)
class AttemptReturned:
    """An attempt ended. ``actual_cost_usd_micro`` None: the expected cost counts as spent."""

    attempt_id: str
    outcome: OutcomeClass
    reason: str | None
    reference: str | None
    actual_cost_usd_micro: int | None
    latency_ms: int
    generated: tuple[GeneratedCandidate, ...]
    failed: tuple[FailedCandidate, ...]
    market: MarketSnapshot


RunMessage: TypeAlias = Observed | DispatchAttempts | AttemptAccepted | AttemptSlow | AttemptReturned | Tick
