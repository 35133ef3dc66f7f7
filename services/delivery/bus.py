"""Records that delivery takes from the bus: selections, and the end of every task."""

from __future__ import annotations

from typing import Any, Final

from services.delivery.domain.messages import END_TYPES, EndReceived, SelectionReceived
from winnow.adapters.bus import Bus
from winnow.contracts.envelope import RecordedMessage
from winnow.contracts.events import TaskSelected
from winnow.contracts.topics import TASKS, group_of
from winnow.eventstore import Input, Journal
from winnow.eventstore.consumer import JournalConsumer, Table


def selection(recorded: RecordedMessage[Any], fingerprint: str) -> Input:
    """Make the input of finishing a task."""
    envelope = recorded.envelope
    message = SelectionReceived(recorded.message, envelope.correlation_id, envelope.traceparent)
    return _input(recorded, message, fingerprint)


def end(recorded: RecordedMessage[Any], fingerprint: str) -> Input:
    """Make the input of telling endpoints; our own ends come back this way too."""
    envelope = recorded.envelope
    message = EndReceived(
        recorded.message,
        envelope.event_id,
        envelope.occurred_at,
        envelope.correlation_id,
        envelope.traceparent,
    )
    return _input(recorded, message, fingerprint)


TABLE: Final[Table] = {TaskSelected.type_name(): selection, **dict.fromkeys(END_TYPES, end)}


def subscribe(bus: Bus, journal: Journal[Any]) -> None:
    """Feed the journal of task deliveries from the record of tasks."""
    JournalConsumer(journal, TABLE).subscribe(bus, TASKS.name, group_of("delivery"))


def _input(
    recorded: RecordedMessage[Any], message: SelectionReceived | EndReceived, fingerprint: str
) -> Input:
    envelope = recorded.envelope
    return Input(
        recorded.message.task_id,
        envelope.event_id,
        message,
        envelope.correlation_id,
        fingerprint,
        envelope.traceparent,
    )
