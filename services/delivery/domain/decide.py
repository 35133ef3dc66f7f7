"""The decisions of delivery about one task: its end and its price, and its webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, assert_never

from services.delivery.domain.messages import (
    PRIVATE_EVENTS,
    UPCASTERS,
    AttemptReason,
    EndNoted,
    EndpointsRead,
    EndReceived,
    Finished,
    FinishingFailed,
    Incoming,
    PlannedWebhook,
    RedeliveryAsked,
    SelectionNoted,
    SelectionReceived,
    WebhookAnswered,
    WebhookAttemptReturned,
    WebhookAttemptStarted,
    WebhookRedeliveryRequested,
    WebhooksPlanned,
    WebhookState,
)
from services.delivery.domain.schedule import SCHEDULE_S, disables_endpoint, next_at
from services.delivery.domain.task import Selection, TaskDelivery, Webhook, due_at, evolve
from winnow.contracts.commands import ReleaseCredits, SettleCredits
from winnow.contracts.decider import Decider, Tick
from winnow.contracts.envelope import Message
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import (
    TaskDelivered,
    TaskFailed,
    TaskPartiallyDelivered,
    TaskRejected,
    TaskSelected,
)
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.values import Output

_LATE: Final = "finishing_timed_out"


@dataclass(frozen=True, slots=True)
class Policy:
    """Settings of an operator, in seconds.

    ``finish_deadline_s`` is the last resort, after which a task whose finishing never returned fails. An order's own
    deadline with its slack comes first where it is earlier.
    """

    finish_deadline_s: int = 3600
    schedule_s: tuple[int, ...] = SCHEDULE_S


def decide(  # noqa: PLR0911 (one return a message)
    state: TaskDelivery, message: Incoming, now: datetime, policy: Policy
) -> Sequence[Message]:
    """Return what a message leads to; nothing for a message that is late, repeated or not ours."""
    match message:
        case SelectionReceived():
            return _note_selection(state, message, now, policy)
        case Finished():
            return _end(state, message, now)
        case EndReceived():
            return _note_end(state, message)
        case EndpointsRead():
            return _plan_webhooks(state, message)
        case WebhookAnswered():
            return _note_attempt(state, message, now, policy)
        case RedeliveryAsked():
            return _redeliver(state, message)
        case Tick():
            return _on_time(state, now)
        case _:
            assert_never(message)


def delivery_id_of(endpoint_id: str, event_id: str) -> str:
    """Derive the id of a webhook delivery, which is its ``webhook-id`` over all attempts."""
    return derive_id(Prefix.delivery, endpoint_id, event_id)


def output_id_of(candidate_id: str) -> str:
    """Derive the id of the output that a candidate becomes."""
    return derive_id(Prefix.output, candidate_id)


def charge_credits_micro(selection: Selection, delivered_count: int) -> int:
    """Return the price of what was delivered; never more than was reserved."""
    price = selection.price_per_output_credits_micro * delivered_count
    return min(price, selection.reserved_credits_micro)


def finish_by(event: TaskSelected, now: datetime, policy: Policy) -> datetime:
    """Return the moment at which a task whose finishing has not returned fails.

    Half of the order's slack is left for the timer, the commit and a change of owner. The end itself thus
    lies before the deadline plus the slack.
    """
    own = now + timedelta(seconds=policy.finish_deadline_s)
    if event.deadline_at is None or event.deadline_slack_s is None:
        return own
    return min(own, event.deadline_at + timedelta(seconds=event.deadline_slack_s) / 2)


def _note_selection(
    state: TaskDelivery, message: SelectionReceived, now: datetime, policy: Policy
) -> list[Message]:
    if state.selection is not None or state.end is not None:
        return []
    event = message.event
    noted = SelectionNoted(
        task_id=event.task_id,
        account_id=event.account_id,
        correlation_id=message.correlation_id,
        traceparent=message.traceparent,
        k=event.k,
        selected=event.selected,
        reservation_id=event.reservation_id,
        price_per_output_credits_micro=event.price_per_output_credits_micro,
        reserved_credits_micro=event.reserved_credits_micro,
        cost=event.cost,
        finish_by=finish_by(event, now, policy),
    )
    return [noted]


def _end(state: TaskDelivery, message: Finished, now: datetime) -> list[Message]:
    selection = state.selection
    if selection is None or state.end is not None:
        return []
    if selection.finish_by <= now:
        # A late end is the same whichever is decided first: this result or the timer.
        return _end_with(state, selection, [], _LATE)
    outputs = _allowed(selection, message.outputs)
    failures = list(message.failed)
    noted: list[Message] = [FinishingFailed(task_id=state.task_id, failed=failures)] if failures else []
    reason = failures[0].reason if failures else "not_enough_selected"
    return [*noted, *_end_with(state, selection, outputs, reason)]


def _allowed(selection: Selection, outputs: Sequence[Output]) -> list[Output]:
    """Keep what was selected, once each, best first, K at most: the gate in front of every delivery."""
    finished = {output.candidate_id: output for output in outputs}
    chosen = sorted(selection.selected, key=lambda candidate: candidate.rank)
    kept = {top.candidate_id: finished[top.candidate_id] for top in chosen if top.candidate_id in finished}
    return list(kept.values())[: selection.k]


def _end_with(state: TaskDelivery, selection: Selection, outputs: list[Output], reason: str) -> list[Message]:
    task_id, account_id = state.task_id, state.account_id
    if not outputs:
        return [
            TaskFailed(
                task_id=task_id,
                account_id=account_id,
                code=ErrorCode.delivery_failed,
                stage="delivery",
                reason=reason,
            ),
            _release(state, selection),
        ]
    missing_count = selection.k - len(outputs)
    if missing_count > 0:
        return [
            TaskPartiallyDelivered(
                task_id=task_id,
                account_id=account_id,
                outputs=outputs,
                missing_count=missing_count,
                reason=reason,
            ),
            _settle(state, selection, len(outputs), "partially_delivered"),
        ]
    return [
        TaskDelivered(task_id=task_id, account_id=account_id, outputs=outputs),
        _settle(state, selection, len(outputs), "delivered"),
    ]


def _settle(state: TaskDelivery, selection: Selection, delivered_count: int, reason: str) -> SettleCredits:
    return SettleCredits(
        command_id=derive_id(Prefix.command, "settle", selection.reservation_id),
        account_id=state.account_id,
        reservation_id=selection.reservation_id,
        task_id=state.task_id,
        amount_credits_micro=charge_credits_micro(selection, delivered_count),
        delivered_count=delivered_count,
        cost=selection.cost,
        reason=reason,
    )


def _release(state: TaskDelivery, selection: Selection) -> ReleaseCredits:
    return ReleaseCredits(
        command_id=derive_id(Prefix.command, "release", selection.reservation_id),
        account_id=state.account_id,
        reservation_id=selection.reservation_id,
        task_id=state.task_id,
        cost=selection.cost,
        reason=ErrorCode.delivery_failed.value,
    )


def _note_end(state: TaskDelivery, message: EndReceived) -> list[Message]:
    event = message.event
    # While we owe the end, nobody else may give it; and a task has one end, noted once.
    if state.is_finishing or (state.end is not None and state.end.event_id is not None):
        return []
    if state.end is not None and state.end.type != event.type:
        return []
    noted = EndNoted(
        task_id=event.task_id,
        account_id=event.account_id,
        correlation_id=message.correlation_id,
        traceparent=message.traceparent,
        end_event_id=message.event_id,
        end_type=event.type,
        ended_at=message.occurred_at,
        code=event.code if isinstance(event, TaskFailed | TaskRejected) else None,
        reason=event.reason if isinstance(event, TaskFailed | TaskPartiallyDelivered) else None,
        missing_count=event.missing_count if isinstance(event, TaskPartiallyDelivered) else 0,
    )
    return [noted]


def _plan_webhooks(state: TaskDelivery, message: EndpointsRead) -> list[Message]:
    if not state.awaits_endpoints or state.end is None or state.end.event_id != message.event_id:
        return []
    webhooks = [
        PlannedWebhook(
            delivery_id=delivery_id_of(endpoint_id, message.event_id),
            endpoint_id=endpoint_id,
        )
        for endpoint_id in dict.fromkeys(message.endpoint_ids)
    ]
    return [WebhooksPlanned(task_id=state.task_id, webhooks=webhooks)]


def _note_attempt(
    state: TaskDelivery, message: WebhookAnswered, now: datetime, policy: Policy
) -> list[Message]:
    webhook = state.webhook(message.delivery_id)
    if webhook is None or not webhook.sending or message.number != webhook.attempts_count + 1:
        return []
    outcome, due = _outcome(webhook, message, now, policy)
    returned = WebhookAttemptReturned(
        task_id=state.task_id,
        delivery_id=message.delivery_id,
        number=message.number,
        started_at=message.started_at,
        status=message.status,
        reason=message.reason,
        latency_ms=message.latency_ms,
        state=outcome,
        next_at=due,
    )
    return [returned]


def _outcome(
    webhook: Webhook, message: WebhookAnswered, now: datetime, policy: Policy
) -> tuple[WebhookState, datetime | None]:
    if message.reason is AttemptReason.accepted:
        return WebhookState.delivered, None
    if disables_endpoint(message.reason):
        return WebhookState.endpoint_disabled, None
    honoured_s = message.retry_after_s if message.reason is AttemptReason.throttled else 0
    due = next_at(
        now,
        policy.schedule_s,
        webhook.step + 1,
        delivery_id=webhook.delivery_id,
        number=message.number + 1,
        retry_after_s=honoured_s,
    )
    return (WebhookState.pending, due) if due is not None else (WebhookState.exhausted, None)


def _redeliver(state: TaskDelivery, message: RedeliveryAsked) -> list[Message]:
    webhook = state.webhook(message.delivery_id)
    if webhook is None or webhook.sending:
        return []
    return [WebhookRedeliveryRequested(task_id=state.task_id, delivery_id=message.delivery_id)]


def _on_time(state: TaskDelivery, now: datetime) -> list[Message]:
    if state.is_finishing and state.selection is not None and state.selection.finish_by <= now:
        return _end_with(state, state.selection, [], _LATE)
    due = [
        webhook.delivery_id
        for webhook in state.webhooks
        if webhook.next_at is not None and webhook.next_at <= now
    ]
    return [WebhookAttemptStarted(task_id=state.task_id, delivery_ids=due)] if due else []


def decider(policy: Policy) -> Decider[TaskDelivery]:
    """Return the rules of a task delivery under ``policy``; what was decided before does not change with it."""
    return Decider(
        producer="delivery",
        state_type=TaskDelivery,
        state_version=1,
        private_events=PRIVATE_EVENTS,
        upcasters=UPCASTERS,
        initial=TaskDelivery,
        decide=partial(decide, policy=policy),
        evolve=evolve,
        due_at=due_at,
        is_final=lambda state: state.is_final,
    )
