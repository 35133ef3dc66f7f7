"""A task of delivery, taken through the rules step by step without a journal."""

from __future__ import annotations

from datetime import datetime

from services.delivery.domain.decide import Policy, decide, delivery_id_of
from services.delivery.domain.messages import (
    AttemptReason,
    EndpointsRead,
    EndReceived,
    Finished,
    Incoming,
    WebhookAnswered,
)
from services.delivery.domain.task import TaskDelivery, evolve
from tests.unit.delivery.builders import NOW, endpoint, output, selection, selection_received, task_id
from winnow.contracts.envelope import Event, Message
from winnow.contracts.events import TaskDelivered, TaskFailed, TaskPartiallyDelivered
from winnow.contracts.ids import Prefix, derive_id

POLICY = Policy()
ENDPOINT = endpoint().endpoint_id
EVENT = derive_id(Prefix.event, "end")
DELIVERY = delivery_id_of(ENDPOINT, EVENT)
ENDS = (TaskDelivered, TaskPartiallyDelivered, TaskFailed)


def step(
    state: TaskDelivery, message: Incoming, now: datetime = NOW, policy: Policy = POLICY
) -> tuple[TaskDelivery, list[Message]]:
    messages = list(decide(state, message, now, policy))
    for decided in messages:
        if isinstance(decided, Event):
            state = evolve(state, decided, now)
    return state, messages


def finishing(k: int = 2) -> TaskDelivery:
    return step(TaskDelivery(task_id()), selection_received(selection(k)))[0]


def ended(endpoints: tuple[str, ...] = (ENDPOINT,)) -> TaskDelivery:
    state, messages = step(finishing(1), Finished((output(0),), ()))
    end = next(message for message in messages if isinstance(message, TaskDelivered))
    state, _ = step(state, EndReceived(end, EVENT, NOW, "request-1"))
    return step(state, EndpointsRead(EVENT, endpoints))[0]


def returned(number: int, reason: AttemptReason, status: int = 0, retry_after_s: int = 0) -> WebhookAnswered:
    return WebhookAnswered(DELIVERY, number, NOW, status, reason, 12, retry_after_s)
