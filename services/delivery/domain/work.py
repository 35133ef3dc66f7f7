"""The long work that a state asks for: a function of state, so that a new owner resumes it by looking."""

from __future__ import annotations

from dataclasses import dataclass

from services.delivery.domain.task import TaskDelivery


@dataclass(frozen=True, slots=True)
class Finish:
    """Make the outputs of a task."""

    task_id: str


@dataclass(frozen=True, slots=True)
class ReadEndpoints:
    """Find the endpoints that are to hear of a task's end."""

    task_id: str


@dataclass(frozen=True, slots=True)
class SendWebhook:
    """Make one delivery attempt."""

    task_id: str
    delivery_id: str
    endpoint_id: str
    number: int


WorkItem = Finish | ReadEndpoints | SendWebhook


def wanted_before_commit(state: TaskDelivery) -> tuple[WorkItem, ...]:
    """Return the work that may begin before the state is committed: it stores objects under names of their content."""
    return (Finish(state.task_id),) if state.is_finishing else ()


def wanted(state: TaskDelivery) -> tuple[WorkItem, ...]:
    """Return the work that should be running for a task now."""
    work: list[WorkItem] = []
    if state.is_finishing:
        work.append(Finish(state.task_id))
    if state.awaits_endpoints:
        work.append(ReadEndpoints(state.task_id))
    work.extend(
        SendWebhook(state.task_id, webhook.delivery_id, webhook.endpoint_id, webhook.attempts_count + 1)
        for webhook in state.webhooks
        if webhook.sending
    )
    return tuple(work)
