"""The state of a task delivery, and how events fold into it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from services.delivery.domain.messages import (
    AttemptReason,
    EndNoted,
    SelectionNoted,
    WebhookAttemptReturned,
    WebhookAttemptStarted,
    WebhookRedeliveryRequested,
    WebhooksPlanned,
    WebhookState,
)
from winnow.contracts.envelope import Event
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import TaskDelivered, TaskFailed, TaskPartiallyDelivered
from winnow.contracts.values import Output, ProviderCost, SelectedCandidate

ATTEMPTS_KEPT_MAX: Final = 50
"""Attempts shown per delivery: five full schedules, so that redeliveries cannot grow a state for ever."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Candidates to finish and their price; credits in micro-units."""

    k: int
    selected: tuple[SelectedCandidate, ...]
    reservation_id: str
    price_per_output_credits_micro: int
    reserved_credits_micro: int
    cost: ProviderCost
    finish_by: datetime


@dataclass(frozen=True, slots=True)
class End:
    """The one end of the task. ``event_id`` is known once the end is on the bus."""

    type: str
    at: datetime
    event_id: str | None = None
    code: ErrorCode | None = None
    reason: str | None = None
    missing_count: int = 0


@dataclass(frozen=True, slots=True)
class WebhookAttempt:
    """One request to an endpoint; ``status`` is 0 when no answer came."""

    number: int
    at: datetime
    status: int
    reason: AttemptReason
    latency_ms: int


@dataclass(frozen=True, slots=True)
class Webhook:
    """One endpoint's notice of the end.

    ``step`` is the place in the schedule, ``attempts_count`` counts every attempt ever returned.
    While pending, either an attempt is under way (``sending``) or ``next_at`` says when it starts.
    """

    delivery_id: str
    endpoint_id: str
    state: WebhookState = WebhookState.pending
    sending: bool = True
    step: int = 0
    attempts_count: int = 0
    attempts: tuple[WebhookAttempt, ...] = ()
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TaskDelivery:
    """All that delivery knows of a task."""

    task_id: str
    account_id: str = ""
    correlation_id: str = ""
    traceparent: str | None = None
    selection: Selection | None = None
    outputs: tuple[Output, ...] = ()
    end: End | None = None
    webhooks_planned: bool = False
    webhooks: tuple[Webhook, ...] = ()

    @property
    def is_finishing(self) -> bool:
        """Return whether delivery owes this task its end."""
        return self.selection is not None and self.end is None

    @property
    def awaits_endpoints(self) -> bool:
        """Return whether the end is on the bus and its webhooks are not planned yet."""
        return self.end is not None and self.end.event_id is not None and not self.webhooks_planned

    @property
    def is_final(self) -> bool:
        """Return whether nothing is left to do, short of a redelivery."""
        return self.webhooks_planned and all(
            webhook.state is not WebhookState.pending for webhook in self.webhooks
        )

    def webhook(self, delivery_id: str) -> Webhook | None:
        """Find a webhook delivery."""
        return next((webhook for webhook in self.webhooks if webhook.delivery_id == delivery_id), None)


def due_at(state: TaskDelivery) -> datetime | None:
    """Return when time alone changes something: finishing runs out, or an attempt comes due."""
    times = [webhook.next_at for webhook in state.webhooks if webhook.next_at is not None]
    if state.selection is not None and state.is_finishing:
        times.append(state.selection.finish_by)
    return min(times, default=None)


def evolve(  # noqa: PLR0911 (one return an event)
    state: TaskDelivery, event: Event, at: datetime
) -> TaskDelivery:
    """Fold one event of the journal; events that carry nothing for later leave the state as it is."""
    match event:
        case SelectionNoted():
            return _selected(state, event)
        case TaskDelivered():
            return replace(state, outputs=tuple(event.outputs), end=End(event.type, at))
        case TaskPartiallyDelivered():
            end = End(event.type, at, None, None, event.reason, event.missing_count)
            return replace(state, outputs=tuple(event.outputs), end=end)
        case TaskFailed():
            return replace(state, end=End(event.type, at, None, event.code, event.reason))
        case EndNoted():
            return _ended(state, event)
        case WebhooksPlanned():
            webhooks = tuple(Webhook(webhook.delivery_id, webhook.endpoint_id) for webhook in event.webhooks)
            return replace(state, webhooks_planned=True, webhooks=webhooks)
        case WebhookAttemptStarted() | WebhookAttemptReturned() | WebhookRedeliveryRequested():
            webhooks = tuple(_evolve_webhook(webhook, event) for webhook in state.webhooks)
            return replace(state, webhooks=webhooks)
        case _:
            return state


def _selected(state: TaskDelivery, event: SelectionNoted) -> TaskDelivery:
    return replace(
        state,
        account_id=event.account_id,
        correlation_id=event.correlation_id,
        traceparent=event.traceparent,
        selection=Selection(
            k=event.k,
            selected=tuple(event.selected),
            reservation_id=event.reservation_id,
            price_per_output_credits_micro=event.price_per_output_credits_micro,
            reserved_credits_micro=event.reserved_credits_micro,
            cost=event.cost,
            finish_by=event.finish_by,
        ),
    )


def _ended(state: TaskDelivery, event: EndNoted) -> TaskDelivery:
    return replace(
        state,
        account_id=event.account_id,
        correlation_id=event.correlation_id,
        traceparent=event.traceparent,
        end=End(
            event.end_type,
            event.ended_at,
            event.end_event_id,
            event.code,
            event.reason,
            event.missing_count,
        ),
    )


def _evolve_webhook(
    webhook: Webhook,
    event: WebhookAttemptStarted | WebhookAttemptReturned | WebhookRedeliveryRequested,
) -> Webhook:
    match event:
        case WebhookAttemptStarted() if webhook.delivery_id in event.delivery_ids:
            return replace(webhook, sending=True, next_at=None)
        case WebhookAttemptReturned() if webhook.delivery_id == event.delivery_id:
            attempt = WebhookAttempt(
                event.number, event.started_at, event.status, event.reason, event.latency_ms
            )
            return replace(
                webhook,
                state=event.state,
                sending=False,
                step=webhook.step + 1,
                attempts_count=event.number,
                attempts=(*webhook.attempts, attempt)[-ATTEMPTS_KEPT_MAX:],
                next_at=event.next_at,
            )
        case WebhookRedeliveryRequested() if webhook.delivery_id == event.delivery_id:
            return replace(webhook, state=WebhookState.pending, sending=True, step=0, next_at=None)
        case _:
            return webhook
