"""The rules of delivery, as the journal wants them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from services.delivery.domain.decide import Policy, decide
from services.delivery.domain.messages import PRIVATE_EVENTS, UPCASTERS, Incoming, TimePassed
from services.delivery.domain.task import TaskDelivery, due_at, evolve
from winnow.contracts.envelope import Event, Message
from winnow.eventstore import Tick


class DeliveryDecider:
    """Joins the pure rules to the journal; holds nothing but the policy."""

    producer = "delivery"
    state_type = TaskDelivery
    state_version = 1
    private_events: tuple[type[Event], ...] = PRIVATE_EVENTS
    upcasters = UPCASTERS
    stores_states = True

    def __init__(self, policy: Policy) -> None:
        """Decide by ``policy``; what was decided before does not change with it."""
        self._policy = policy

    def initial(self, aggregate_id: str) -> TaskDelivery:
        """Return the state of a task that nothing is known of."""
        return TaskDelivery(aggregate_id)

    def decide(self, state: TaskDelivery, message: object, now: datetime) -> Sequence[Message]:
        """Decide a message of the bus, of this process, or of time."""
        incoming = TimePassed() if isinstance(message, Tick) else cast("Incoming", message)
        return decide(state, incoming, now, self._policy)

    def evolve(self, state: TaskDelivery, event: Event, at: datetime) -> TaskDelivery:
        """Fold an event."""
        return evolve(state, event, at)

    def due_at(self, state: TaskDelivery) -> datetime | None:
        """Return when time alone changes something."""
        return due_at(state)

    def is_final(self, state: TaskDelivery) -> bool:
        """Return whether nothing is left to do."""
        return state.is_final
