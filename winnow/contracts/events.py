"""The events: every state change of a task, and every entry of the books."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from winnow.contracts.envelope import Event, Instant
from winnow.contracts.errors import ErrorCode
from winnow.contracts.ids import (
    AccountId,
    AttemptId,
    CandidateId,
    ChunkId,
    CommandId,
    EntryId,
    ReservationId,
    TaskId,
)
from winnow.contracts.money import Micro
from winnow.contracts.values import (
    Alternative,
    Count,
    EntryKind,
    FailedCandidate,
    GeneratedCandidate,
    LotSlice,
    Mode,
    OutcomeClass,
    Output,
    PlannedCandidate,
    Posting,
    ProfileRef,
    ProviderCost,
    RoundDecision,
    RouteLine,
    ScoredCandidate,
    SelectedCandidate,
    SetAsideCandidate,
    Sha256,
    StoredObject,
    TemplateRef,
)


class TaskEvent(Event):
    """An event of one task of one account."""

    version: Literal[1] = 1
    task_id: TaskId
    account_id: AccountId


class TaskAccepted(TaskEvent):
    """The order is taken: everything later decisions need, pinned. The request text lies in ``request``.

    The task ends at most ``deadline_slack_s`` seconds after ``deadline_at``; null in orders from before there was one.
    """

    type: Literal["task.accepted"] = "task.accepted"
    template: TemplateRef
    mode: Mode
    profile: ProfileRef
    k: Annotated[int, Field(ge=1)]
    request: StoredObject
    request_sha256: Sha256
    inputs: list[StoredObject] = []
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    reservation_id: ReservationId
    price_per_output_credits_micro: Micro
    reserve_credits_micro: Micro
    price_rule: str
    cost_cap_usd_micro: Micro
    deadline_at: Instant
    priority: Annotated[int, Field(ge=0, le=9)] = 5
    label: str | None = None
    deadline_slack_s: Count | None = None


class TaskFunded(TaskEvent):
    """The credits are reserved; from here the router owns the end."""

    type: Literal["task.funded"] = "task.funded"
    reservation_id: ReservationId
    reserved_credits_micro: Micro


class TaskUnfunded(TaskEvent):
    """The credits could not be reserved."""

    type: Literal["task.unfunded"] = "task.unfunded"
    reservation_id: ReservationId
    code: ErrorCode
    shortfall_credits_micro: Micro


class TaskRejected(TaskEvent):
    """An end, by ingest: the task was never funded."""

    type: Literal["task.rejected"] = "task.rejected"
    code: ErrorCode
    shortfall_credits_micro: Micro = 0


class TaskCancelRequested(TaskEvent):
    """The client asks to stop; the owner of the end decides by its place in the record."""

    type: Literal["task.cancel_requested"] = "task.cancel_requested"


class RoundPlanned(TaskEvent):
    """A batch of candidates is to be generated, and why that many."""

    type: Literal["round.planned"] = "round.planned"
    round_index: Count
    candidates: list[PlannedCandidate]
    wanted_count: Count
    assumed_pass_rate_ppm: Count
    reason: str


class AttemptSubmitted(TaskEvent):
    """A provider took the work, or may have: from here the attempt counts as spent until its outcome is known."""

    type: Literal["attempt.submitted"] = "attempt.submitted"
    attempt_id: AttemptId
    round_index: Count
    candidate_ids: list[CandidateId]
    offering: str
    provider: str
    try_number: Annotated[int, Field(ge=1)]
    expected_cost_usd_micro: Micro
    alternatives: list[Alternative]


class AttemptFinished(TaskEvent):
    """Outcome and cost of an attempt."""

    type: Literal["attempt.finished"] = "attempt.finished"
    attempt_id: AttemptId
    round_index: Count
    offering: str
    provider: str
    outcome: OutcomeClass
    reason: str | None = None
    provider_reference: str | None = None
    expected_cost_usd_micro: Micro
    actual_cost_usd_micro: Micro
    latency_ms: Count
    will_retry: bool = False


class CandidatesGenerated(TaskEvent):
    """Candidates whose bytes are stored and decoded."""

    type: Literal["candidates.generated"] = "candidates.generated"
    attempt_id: AttemptId
    round_index: Count
    offering: str
    candidates: list[GeneratedCandidate]


class CandidatesFailed(TaskEvent):
    """Candidates that will not be generated any more."""

    type: Literal["candidates.failed"] = "candidates.failed"
    round_index: Count
    candidates: list[FailedCandidate]


class CandidatesScored(TaskEvent):
    """The verdicts of a chunk, with all that replay needs to give them again."""

    type: Literal["candidates.scored"] = "candidates.scored"
    chunk_id: ChunkId
    round_index: Count
    profile: ProfileRef
    profile_sha256: Sha256
    scorer_version: str
    models: dict[str, str]
    candidates: list[ScoredCandidate]


class RoundClosed(TaskEvent):
    """A round has its verdicts, and what follows."""

    type: Literal["round.closed"] = "round.closed"
    round_index: Count
    generated_count: Count
    passed_count: Count
    failed_count: Count
    passed_total_count: Count
    decision: RoundDecision
    reason: str


class TaskSelected(TaskEvent):
    """The best passed candidates are chosen; from here delivery owns the end, by the deadline and slack of the order."""

    type: Literal["task.selected"] = "task.selected"
    k: Annotated[int, Field(ge=1)]
    profile: ProfileRef
    selected: list[SelectedCandidate]
    set_aside: list[SetAsideCandidate]
    reason: str
    reservation_id: ReservationId
    price_per_output_credits_micro: Micro
    reserved_credits_micro: Micro
    cost: ProviderCost
    routes: list[RouteLine] = []
    deadline_at: Instant | None = None
    deadline_slack_s: Count | None = None


class TaskDelivered(TaskEvent):
    """An end, by delivery: all K outputs."""

    type: Literal["task.delivered"] = "task.delivered"
    outputs: list[Output]


class TaskPartiallyDelivered(TaskEvent):
    """An end, by delivery: fewer than K outputs, the rest released."""

    type: Literal["task.partially_delivered"] = "task.partially_delivered"
    outputs: list[Output]
    missing_count: Annotated[int, Field(ge=1)]
    reason: str


class TaskFailed(TaskEvent):
    """An end, by router or delivery: nothing was delivered and nothing is charged."""

    type: Literal["task.failed"] = "task.failed"
    code: ErrorCode
    stage: Literal["router", "delivery"]
    reason: str


class TaskCancelled(TaskEvent):
    """An end, by ingest or router: the client asked in time."""

    type: Literal["task.cancelled"] = "task.cancelled"
    stage: Literal["ingest", "router"]
    released_credits_micro: Micro


class TaskSettled(TaskEvent):
    """The bill: reserved = settled + released."""

    type: Literal["task.settled"] = "task.settled"
    reservation_id: ReservationId
    reserved_credits_micro: Micro
    settled_credits_micro: Micro
    released_credits_micro: Micro
    delivered_count: Count
    price_per_output_credits_micro: Micro
    cost: ProviderCost
    reason: str


class EntryRecorded(Event):
    """An entry of the books; its postings sum to zero per unit."""

    type: Literal["entry.recorded"] = "entry.recorded"
    version: Literal[1] = 1
    entry_id: EntryId
    account_id: AccountId
    kind: EntryKind
    amount_credits_micro: Micro
    postings: list[Posting]
    lots: list[LotSlice] = []
    task_id: TaskId | None = None
    reservation_id: ReservationId | None = None
    grant_id: str | None = None
    reason: str = ""
    available_credits_micro: Micro
    held_credits_micro: Micro


class RefundRefused(Event):
    """A refund changes nothing, and why; ``refund_id`` is the id of the command that asked for it."""

    type: Literal["refund.refused"] = "refund.refused"
    version: Literal[1] = 1
    refund_id: CommandId
    account_id: AccountId
    task_id: TaskId
    reservation_id: ReservationId
    amount_credits_micro: Micro
    code: ErrorCode
    reason: str


TASK_EVENTS: Final[tuple[type[Event], ...]] = (
    TaskAccepted,
    TaskFunded,
    TaskUnfunded,
    TaskRejected,
    TaskCancelRequested,
    RoundPlanned,
    AttemptSubmitted,
    AttemptFinished,
    CandidatesGenerated,
    CandidatesFailed,
    CandidatesScored,
    RoundClosed,
    TaskSelected,
    TaskDelivered,
    TaskPartiallyDelivered,
    TaskFailed,
    TaskCancelled,
    TaskSettled,
)
ACCOUNT_EVENTS: Final[tuple[type[Event], ...]] = (EntryRecorded, RefundRefused)
