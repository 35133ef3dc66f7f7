"""Messages of a task delivery: local messages into ``decide``, and private events out of it.

Private events stay in the journal of this service; they hold everything that a later decision needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field

from winnow.contracts.decider import Tick
from winnow.contracts.envelope import Event, Instant, Value
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import (
    TaskCancelled,
    TaskDelivered,
    TaskFailed,
    TaskPartiallyDelivered,
    TaskRejected,
    TaskSelected,
)
from winnow.contracts.ids import AccountId, CandidateId, EventId, ReservationId, TaskId
from winnow.contracts.money import Micro
from winnow.contracts.upcast import Upcaster
from winnow.contracts.values import Count, Output, ProviderCost, SelectedCandidate

EndEvent = TaskDelivered | TaskPartiallyDelivered | TaskFailed | TaskCancelled | TaskRejected
END_EVENTS: Final[tuple[type[Event], ...]] = (
    TaskDelivered,
    TaskPartiallyDelivered,
    TaskFailed,
    TaskCancelled,
    TaskRejected,
)
END_TYPES: Final = tuple(event_type.type_name() for event_type in END_EVENTS)
"""The event types that an endpoint may subscribe to: every end of a task."""


class WebhookState(StrEnum):
    """State of a webhook delivery; all but the first are resolved."""

    pending = "pending"
    delivered = "delivered"
    exhausted = "exhausted"
    endpoint_disabled = "endpoint_disabled"


class AttemptReason(StrEnum):
    """Outcome of a delivery attempt, as a word that is safe to show and to count."""

    accepted = "accepted"
    redirected = "redirected"
    gone = "gone"
    throttled = "throttled"
    refused = "refused"
    server_error = "server_error"
    timed_out = "timed_out"
    not_reachable = "not_reachable"
    address_not_allowed = "address_not_allowed"
    endpoint_disabled = "endpoint_disabled"
    certificate_expired = "certificate_expired"
    certificate_wrong_host = "certificate_wrong_host"
    certificate_untrusted = "certificate_untrusted"
    tls_failed = "tls_failed"
    unforeseen = "unforeseen"


@dataclass(frozen=True, slots=True)
class SelectionReceived:
    """``task.selected`` came from the bus."""

    event: TaskSelected
    correlation_id: str
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class EndReceived:
    """An end of a task came from the bus: ours that comes back, or that of another service."""

    event: EndEvent
    event_id: str
    occurred_at: datetime
    correlation_id: str
    traceparent: str | None = None


class FinishFailure(Value):
    """A selected candidate that could not be finished, and why."""

    candidate_id: CandidateId
    reason: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The finishing work of a task returned; a candidate in neither list counts as failed."""

    outputs: tuple[Output, ...]
    failed: tuple[FinishFailure, ...]


@dataclass(frozen=True, slots=True)
class EndpointsRead:
    """The account's enabled endpoints that subscribe to the type of the task's end."""

    event_id: str
    endpoint_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WebhookAnswered:
    """A webhook request returned. ``status`` is 0 when no answer came; times in seconds and milliseconds."""

    delivery_id: str
    number: int
    started_at: datetime
    status: int
    reason: AttemptReason
    latency_ms: int
    retry_after_s: int = 0


@dataclass(frozen=True, slots=True)
class RedeliveryAsked:
    """Somebody asks to send a webhook delivery again now."""

    delivery_id: str


Incoming = (
    SelectionReceived | EndReceived | Finished | EndpointsRead | WebhookAnswered | RedeliveryAsked | Tick
)


class PrivateEvent(Event):
    """An event of this service's journal about one task."""

    version: Literal[1] = 1
    task_id: TaskId


class SelectionNoted(PrivateEvent):
    """The selection is ours to finish: all that finishing and charging need, pinned."""

    type: Literal["delivery.selection_noted"] = "delivery.selection_noted"
    account_id: AccountId
    correlation_id: str
    traceparent: str | None = None
    k: Annotated[int, Field(ge=1)]
    selected: list[SelectedCandidate]
    reservation_id: ReservationId
    price_per_output_credits_micro: Micro
    reserved_credits_micro: Micro
    cost: ProviderCost
    finish_by: Instant


class FinishingFailed(PrivateEvent):
    """The selected candidates that could not be finished, for the record."""

    type: Literal["delivery.finishing_failed"] = "delivery.finishing_failed"
    failed: list[FinishFailure]


class EndNoted(PrivateEvent):
    """The end of the task is on the bus: from here its webhooks are due."""

    type: Literal["delivery.end_noted"] = "delivery.end_noted"
    account_id: AccountId
    correlation_id: str
    traceparent: str | None = None
    end_event_id: EventId
    end_type: str
    ended_at: Instant
    code: ErrorCode | None = None
    reason: str | None = None
    missing_count: Count = 0


class PlannedWebhook(Value):
    """A webhook delivery to one endpoint."""

    delivery_id: str
    endpoint_id: str


class WebhooksPlanned(PrivateEvent):
    """The endpoints that are told about the end; the first attempts start at once."""

    type: Literal["delivery.webhooks_planned"] = "delivery.webhooks_planned"
    webhooks: list[PlannedWebhook]


class WebhookAttemptStarted(PrivateEvent):
    """Attempts that have come due."""

    type: Literal["delivery.webhook_attempt_started"] = "delivery.webhook_attempt_started"
    delivery_ids: list[str]


class WebhookAttemptReturned(PrivateEvent):
    """Outcome of an attempt and the next step; ``next_at`` is null when nothing does."""

    type: Literal["delivery.webhook_attempt_returned"] = "delivery.webhook_attempt_returned"
    delivery_id: str
    number: Annotated[int, Field(ge=1)]
    started_at: Instant
    status: Count
    reason: AttemptReason
    latency_ms: Count
    state: WebhookState
    next_at: Instant | None = None


class WebhookRedeliveryRequested(PrivateEvent):
    """A delivery is sent again now, with a fresh schedule behind it."""

    type: Literal["delivery.webhook_redelivery_requested"] = "delivery.webhook_redelivery_requested"
    delivery_id: str


PRIVATE_EVENTS: Final[tuple[type[Event], ...]] = (
    SelectionNoted,
    FinishingFailed,
    EndNoted,
    WebhooksPlanned,
    WebhookAttemptStarted,
    WebhookAttemptReturned,
    WebhookRedeliveryRequested,
)
UPCASTERS: Final[tuple[Upcaster, ...]] = ()
"""The steps that lift older versions of the private events."""
