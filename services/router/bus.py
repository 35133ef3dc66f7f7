"""Records that the router reads: a table from wire type to the message that it is to a task run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from services.router.app.router import Router
from winnow.adapters.bus import Bus
from winnow.contracts.envelope import RecordedMessage
from winnow.contracts.events import CandidatesScored
from winnow.contracts.topics import TASKS, group_of
from winnow.eventstore import Input, Journal
from winnow.eventstore.consumer import JournalConsumer, Table, ToInput, input_about
from winnow.eventstore.model import content_fingerprint

READS: Final = (
    "task.accepted",
    "task.funded",
    "task.unfunded",
    "task.rejected",
    "task.cancel_requested",
    "task.cancelled",
    "candidates.scored",
)
"""Events of a task that its run observes."""


def table(router: Router) -> Table:
    """Return the message that each event of a task is to its run; the router's own events are not read back."""
    return dict.fromkeys(READS, _observed(router))


def _observed(router: Router) -> ToInput:
    def to_input(recorded: RecordedMessage[Any], fingerprint: str) -> Input | None:
        if recorded.envelope.producer == "router":
            return None
        if isinstance(recorded.message, CandidatesScored):
            # The scorer keeps no state: a chunk that it scores again gives the same event at another time.
            fingerprint = content_fingerprint(recorded.message.model_dump_json().encode())
        input_ = input_about(recorded.message.task_id, recorded, fingerprint)
        return replace(input_, message=router.observed(recorded))

    return to_input


def subscribe(bus: Bus, journal: Journal[Any], router: Router) -> None:
    """Attach the journal to the task topic; partition n is shard n."""
    JournalConsumer(journal, table(router)).subscribe(bus, TASKS.name, group_of("router"))
