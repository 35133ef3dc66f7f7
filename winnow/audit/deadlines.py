"""The end of a task against its deadline: before deadline plus slack, as the order promises."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from winnow.audit.finding import Finding
from winnow.contracts.events import TaskAccepted
from winnow.contracts.states import TaskState

_OPEN_SLACK: Final = timedelta(seconds=60)
"""Slack of an order that names none, while its task is open: a round of polling by the owner of its timer."""
_ENDED_SLACK: Final = timedelta(seconds=3660)
"""Slack of the end of an order that names none: it could be selected at its deadline, finishing had an hour from
there, and the timer is polled."""


@dataclass(slots=True)
class Deadline:
    """The promise of an order, and the ends that the record holds."""

    at: datetime | None = None
    slack: timedelta | None = None
    ends: list[tuple[str, datetime]] = field(default_factory=list)

    def accept(self, order: TaskAccepted) -> None:
        """Note the promise."""
        self.at = order.deadline_at
        self.slack = None if order.deadline_slack_s is None else timedelta(seconds=order.deadline_slack_s)

    def end(self, event_type: str, at: datetime) -> None:
        """Note an end."""
        self.ends.append((event_type, at))

    def findings(self, task_id: str, state: TaskState, now: datetime) -> Iterator[Finding]:
        """Yield the ends that came too late, and the lack of one where it is due."""
        if self.at is None:
            return
        if not self.ends and now > self.at + (self.slack or _OPEN_SLACK):
            text = f"its deadline has passed and it is still {state.value}"
            yield Finding("one end", task_id, text)
        slack = _ENDED_SLACK if self.slack is None else self.slack
        named = "" if self.slack is not None else " (its order names none)"
        for event_type, at in self.ends:
            if at > self.at + slack:
                late_s = (at - self.at).total_seconds()
                text = (
                    f"{event_type} came {late_s:.0f} s after its deadline, the slack is {slack.total_seconds():.0f} s"
                    f"{named}"
                )
                yield Finding("deadline", task_id, text)
