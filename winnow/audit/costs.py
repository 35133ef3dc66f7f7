"""The debt to providers: the books owe for each task the sum of its attempts' costs, no more and no less."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from winnow.audit.finding import Finding
from winnow.contracts.chart_of_accounts import PROVIDER_PAYABLE
from winnow.contracts.events import (
    AttemptFinished,
    AttemptSubmitted,
    EntryRecorded,
    TaskAccepted,
    TaskCancelled,
    TaskEvent,
    TaskFailed,
    TaskSelected,
    TaskSettled,
)
from winnow.contracts.values import Unit

OLDER: Final = "costs known after the bill, of orders before they were booked"
"""The name of the count in a report."""
_BOOKED_WITHIN: Final = timedelta(seconds=60)
"""Time to book an attempt's outcome after the bill, and between the reads of an archive's books and tasks."""


@dataclass(slots=True)
class TaskCost:
    """The provider cost of a task by its attempts, in micro-USD: expected while an attempt is out, then actual.

    ``late_at`` is the last outcome that came after the selection or the end, so that the bill lacks it.
    ``books_late_outcomes`` is false for an order of a build whose ledger did not book what came after the bill; such
    orders name no slack.
    """

    spent_usd_micro: int = 0
    billed_usd_micro: int | None = None
    billed_at: datetime | None = None
    late_at: datetime | None = None
    is_closed: bool = False
    books_late_outcomes: bool = True

    def take(self, event: TaskEvent, at: datetime) -> None:
        """Fold an event of the task that occurred at ``at``."""
        match event:
            case TaskAccepted():
                self.books_late_outcomes = event.deadline_slack_s is not None
            case AttemptSubmitted():
                self.spent_usd_micro += event.expected_cost_usd_micro
            case AttemptFinished():
                self.spent_usd_micro += event.actual_cost_usd_micro - event.expected_cost_usd_micro
                if self.is_closed:
                    self.late_at = max(at, self.late_at or at)
            case TaskSelected() | TaskFailed() | TaskCancelled():
                self.is_closed = True
            case TaskSettled():
                self.billed_usd_micro = event.cost.actual_usd_micro
                self.billed_at = at
            case _:
                pass


@dataclass(slots=True)
class Payables:
    """The debt that the entries book, in micro-USD by task; an entry about no task counts under its own id."""

    by_task: dict[str, int] = field(default_factory=dict)

    def take(self, entry: EntryRecorded) -> None:
        """Fold an entry."""
        for posting in entry.postings:
            if posting.account == PROVIDER_PAYABLE and posting.unit is Unit.usd_micro:
                subject = entry.task_id or entry.entry_id
                self.by_task[subject] = self.by_task.get(subject, 0) - posting.amount_micro


@dataclass(frozen=True, slots=True)
class CostReport:
    """The faults, and the tasks of older builds whose bill took an attempt for its expected cost."""

    findings: tuple[Finding, ...]
    older_count: int


def compare_costs(
    costs: Mapping[str, TaskCost], payables: Mapping[str, int], horizon: datetime
) -> CostReport:
    """Compare debt and costs of every billed task, and of every task that the books owe something for.

    ``horizon`` is the moment up to which the books were read; an outcome just before it may not be booked yet.
    """
    found: list[Finding] = []
    older_count = 0
    for task_id in sorted(costs.keys() | payables.keys()):
        cost, owed = costs.get(task_id) or TaskCost(), payables.get(task_id, 0)
        known_to = horizon - _BOOKED_WITHIN
        if task_id not in payables and (cost.billed_at is None or cost.billed_at > known_to):
            continue
        if cost.late_at is not None and cost.late_at > known_to:
            continue
        if owed == cost.spent_usd_micro:
            continue
        if not cost.books_late_outcomes and owed == cost.billed_usd_micro:
            older_count += 1
            continue
        text = f"the books owe providers {owed} micro-USD for it, its attempts cost {cost.spent_usd_micro}"
        found.append(Finding("provider cost", task_id, text))
    return CostReport(tuple(found), older_count)
