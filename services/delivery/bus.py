"""Records that delivery takes from the bus: selections, and the end of every task."""

from __future__ import annotations

from typing import Any, Final

from services.delivery.domain.messages import END_TYPES, EndReceived, SelectionReceived
from winnow.contracts.envelope import Recorded
from winnow.contracts.events import TaskSelected
from winnow.contracts.topics import TASKS, group_of
from winnow.runtime.bus import Bus
from winnow.runtime.journal import Cause, Journal
from winnow.runtime.lanes import JournalLanes, Table


def selection(recorded: Recorded[Any], mark: str) -> Cause:
    """Make the cause of finishing a task."""
    envelope = recorded.envelope
    message = SelectionReceived(recorded.message, envelope.correlation_id, envelope.traceparent)
    return _cause(recorded, message, mark)


def end(recorded: Recorded[Any], mark: str) -> Cause:
    """Make the cause of telling endpoints; our own ends come back this way too."""
    envelope = recorded.envelope
    message = EndReceived(
        recorded.message,
        envelope.event_id,
        envelope.occurred_at,
        envelope.correlation_id,
        envelope.traceparent,
    )
    return _cause(recorded, message, mark)


TABLE: Final[Table] = {TaskSelected.type_name(): selection, **dict.fromkeys(END_TYPES, end)}


def subscribe(bus: Bus, journal: Journal[Any]) -> None:
    """Feed the journal of task deliveries from the record of tasks."""
    JournalLanes(journal, TABLE).subscribe(bus, TASKS.name, group_of("delivery"))


def _cause(recorded: Recorded[Any], message: SelectionReceived | EndReceived, mark: str) -> Cause:
    envelope = recorded.envelope
    return Cause(
        recorded.message.task_id,
        envelope.event_id,
        message,
        envelope.correlation_id,
        mark,
        envelope.traceparent,
    )
