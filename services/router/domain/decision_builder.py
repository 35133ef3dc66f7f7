"""A decision in the making: the messages so far, and the state they lead to."""

from __future__ import annotations

from datetime import datetime

from services.router.domain.evolve import evolve
from services.router.domain.run import Run
from winnow.contracts.envelope import Event, Message
from winnow.contracts.events import TaskAccepted


class RunDecisionBuilder:
    """Collects messages and folds each event at once, so that the next step sees it."""

    __slots__ = ("messages", "now", "run")

    def __init__(self, run: Run, now: datetime) -> None:
        """Start from a state at a time."""
        self.run = run
        self.now = now
        self.messages: list[Message] = []

    @property
    def order(self) -> TaskAccepted:
        """Return the order; only for a run that was opened."""
        if self.run.order is None:
            msg = "a run without an order has nothing to decide"
            raise ValueError(msg)
        return self.run.order

    def add(self, message: Message) -> None:
        """Append a message; an event changes the state."""
        self.messages.append(message)
        if isinstance(message, Event):
            self.run = evolve(self.run, message, self.now)
