"""The task state machine: one table (state, event) → state; the docs draw it from here."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class TaskState(StrEnum):
    """State of a task. The last five are its ends."""

    accepted = "accepted"
    unfunded = "unfunded"
    funded = "funded"
    generating = "generating"
    selected = "selected"
    delivered = "delivered"
    partially_delivered = "partially_delivered"
    failed = "failed"
    cancelled = "cancelled"
    rejected = "rejected"


S = TaskState
ENDS: Final = frozenset({S.delivered, S.partially_delivered, S.failed, S.cancelled, S.rejected})

_WORK: Final = (
    "round.planned",
    "attempt.submitted",
    "attempt.finished",
    "candidates.generated",
    "candidates.failed",
    "candidates.scored",
    "round.closed",
)
_LATE: Final = (*_WORK[2:6], "task.cancel_requested", "task.settled", "task.funded", "task.unfunded")

TRANSITIONS: Final[dict[tuple[TaskState | None, str], TaskState]] = {
    (None, "task.accepted"): S.accepted,
    (S.accepted, "task.cancel_requested"): S.accepted,
    (S.accepted, "task.cancelled"): S.cancelled,
    (S.accepted, "task.funded"): S.funded,
    (S.accepted, "task.unfunded"): S.unfunded,
    (S.unfunded, "task.cancel_requested"): S.unfunded,
    (S.unfunded, "task.rejected"): S.rejected,
    (S.unfunded, "task.cancelled"): S.cancelled,
    (S.funded, "task.cancel_requested"): S.funded,
    (S.funded, "task.cancelled"): S.cancelled,
    (S.funded, "task.failed"): S.failed,
    (S.funded, "round.planned"): S.generating,
    **{(S.generating, event): S.generating for event in (*_WORK, "task.cancel_requested")},
    (S.generating, "task.selected"): S.selected,
    (S.generating, "task.failed"): S.failed,
    (S.generating, "task.cancelled"): S.cancelled,
    **{(S.selected, event): S.selected for event in (*_WORK[2:6], "task.cancel_requested")},
    (S.selected, "task.delivered"): S.delivered,
    (S.selected, "task.partially_delivered"): S.partially_delivered,
    (S.selected, "task.failed"): S.failed,
    **{(end, event): end for end in sorted(ENDS) for event in _LATE},
}
"""Events that arrive late (after selection or an end) leave the state as it is; anything else not listed is a fault."""

OWNERS: Final[dict[str, tuple[TaskState, ...]]] = {
    "ingest": (S.accepted, S.unfunded),
    "router": (S.funded, S.generating),
    "delivery": (S.selected,),
}
"""The service that alone may end a task from a state."""


def next_state(state: TaskState | None, event_type: str) -> TaskState | None:
    """Return the next state, or None when the event is not allowed in this state."""
    return TRANSITIONS.get((state, event_type))
