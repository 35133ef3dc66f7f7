"""Dispatch of each kind of work to its use case."""

from __future__ import annotations

from typing import assert_never

from services.delivery.app.finishing import Finishing
from services.delivery.app.reconciler import Perform
from services.delivery.app.webhooks import Webhooks
from services.delivery.domain.task import TaskDelivery
from services.delivery.domain.work import Finish, ReadEndpoints, SendWebhook, WorkItem


def performed_by(finishing: Finishing, webhooks: Webhooks) -> Perform:
    """Return the function that does a piece of work."""

    async def perform(work: WorkItem, state: TaskDelivery) -> None:
        match work:
            case Finish():
                await finishing.finish(state)
            case ReadEndpoints():
                await webhooks.plan(state)
            case SendWebhook():
                await webhooks.attempt(work, state)
            case _:
                assert_never(work)

    return perform
