"""The delivery log: what was sent to whom and how it went, and sending it again; bounded to one account."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from services.delivery.app.ports import DeliveryAggregates, Index
from services.delivery.domain.messages import RedeliveryAsked
from services.delivery.domain.records import Redelivery
from services.delivery.domain.task import TaskDelivery, Webhook
from winnow.contracts.errors import NotFound
from winnow.eventstore import Input, NotOwner, UnreadableEvent
from winnow.runtime.clock import Clock

LOG_DEFAULT: Final = 50
LOG_MAX: Final = 200
_REDELIVERIES: Final = 100


@dataclass(frozen=True, slots=True)
class LoggedWebhook:
    """A line of the delivery log."""

    task_id: str
    event_type: str
    webhook: Webhook


class DeliveryLog:
    """Webhook deliveries, as the account that owns them sees them."""

    def __init__(self, states: DeliveryAggregates, index: Index, clock: Clock) -> None:
        """Read states of any owner; write through the owner."""
        self._states = states
        self._index = index
        self._clock = clock

    async def lines(self, account_id: str, task_id: str, limit: int) -> list[LoggedWebhook]:
        """Return the delivery log, newest task first; of one task when ``task_id`` is given.

        0 is the default limit.
        """
        limit = min(limit or LOG_DEFAULT, LOG_MAX)
        task_ids = [task_id] if task_id else await self._index.tasks_with_webhooks(account_id, limit)
        states = await asyncio.gather(*(self._states.read_state(id_) for id_ in task_ids))
        lines = [
            _logged(state, webhook)
            for state in states
            if state is not None and state.account_id == account_id
            for webhook in state.webhooks
        ]
        return lines[:limit]

    async def redeliver(self, account_id: str, delivery_id: str) -> LoggedWebhook:
        """Send a delivery again now; asking while it is being sent changes nothing. Raises NotFound."""
        task_id = await self._index.task_of_delivery(account_id, delivery_id)
        state = await self._states.read_state(task_id) if task_id else None
        if state is None or state.account_id != account_id or state.webhook(delivery_id) is None:
            raise NotFound("The account has no such delivery.")
        wanted = Redelivery(state.task_id, delivery_id)
        try:
            state = await self._redeliver(state, wanted)
        except NotOwner:
            await self._index.ask_redelivery(wanted, self._clock.now())
        webhook = state.webhook(delivery_id)
        if webhook is None:
            raise NotFound("The account has no such delivery.")
        return _logged(state, webhook)

    async def take_redeliveries(self) -> int:
        """Decide the redeliveries that were asked for elsewhere and are ours to decide; return how many."""
        taken = 0
        for wanted in await self._index.asked_redeliveries(_REDELIVERIES):
            try:
                state = await self._states.read_state(wanted.task_id)
                if state is not None:
                    await self._redeliver(state, wanted)
            except (NotOwner, UnreadableEvent):
                continue
            await self._index.forget_redelivery(wanted)
            taken += 1
        return taken

    async def _redeliver(self, state: TaskDelivery, wanted: Redelivery) -> TaskDelivery:
        webhook = state.webhook(wanted.delivery_id)
        number = 1 + (webhook.attempts_count if webhook is not None else 0)
        decided = await self._states.submit(
            Input(
                state.task_id,
                f"redeliver:{wanted.delivery_id}:{number}",
                RedeliveryAsked(wanted.delivery_id),
                state.correlation_id,
                traceparent=state.traceparent,
            )
        )
        return decided.state


def _logged(state: TaskDelivery, webhook: Webhook) -> LoggedWebhook:
    return LoggedWebhook(state.task_id, state.end.type if state.end else "", webhook)
