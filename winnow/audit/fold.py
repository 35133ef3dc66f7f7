"""The audit's folds: every task, every balance and every sequence rebuilt from the record alone, and its faults.

Pure: records go in, in the order of their partitions, and findings come out. A record that comes twice is
the same record; the order between partitions does not matter.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from winnow.audit.books import Books
from winnow.audit.costs import OLDER, TaskCost, compare_costs
from winnow.audit.deadlines import Deadline
from winnow.audit.finding import Finding
from winnow.audit.pins import Verdicts, unknown_findings
from winnow.audit.profiles import Profiles
from winnow.audit.routes import RouteFold
from winnow.audit.verdicts import selection_findings
from winnow.contracts.envelope import Event, Message, RecordedMessage
from winnow.contracts.events import (
    CandidatesScored,
    EntryRecorded,
    TaskAccepted,
    TaskDelivered,
    TaskEvent,
    TaskPartiallyDelivered,
    TaskSelected,
    TaskSettled,
)
from winnow.contracts.states import ENDS, TaskState, next_state

END_EVENTS: Final = frozenset(f"task.{end.value}" for end in ENDS)


@dataclass(slots=True)
class TaskFold:
    """A task as its record tells it; amounts in micro-credits."""

    task_id: str
    account_id: str
    state: TaskState | None = None
    deadline: Deadline = field(default_factory=Deadline)
    waiting: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    verdicts: Verdicts = field(default_factory=Verdicts)
    routes: RouteFold = field(default_factory=RouteFold)
    cost: TaskCost = field(default_factory=TaskCost)
    selected: TaskSelected | None = None
    delivered: set[str] = field(default_factory=set)
    settled: list[TaskSettled] = field(default_factory=list)

    def take(self, event: TaskEvent, at: datetime, profiles: Profiles) -> None:
        """Fold an event that occurred at ``at``; verdicts are judged by the profiles at hand."""
        if event.type in END_EVENTS:
            self.ends.append(event.type)
            self.deadline.end(event.type, at)
        match event:
            case TaskAccepted():
                self.deadline.accept(event)
                self.verdicts.pin = event.profile
            case CandidatesScored():
                self.verdicts.take(event, profiles)
            case TaskSelected():
                self.selected = event
            case TaskDelivered() | TaskPartiallyDelivered():
                self.delivered.update(output.candidate_id for output in event.outputs)
            case TaskSettled():
                self.settled.append(event)
            case _:
                pass
        self.routes.take(event)
        self.cost.take(event, at)
        self._move(event.type)

    def _move(self, event_type: str) -> None:
        """Change the state; an event that came before the one it rests on waits for it.

        Services write to one partition without asking each other, so the ledger's answer may lie before the
        acceptance it answers. What is still waiting when the record ends is a fault.
        """
        state = next_state(self.state, event_type)
        if state is None:
            self.waiting.append(event_type)
            return
        self.state = state
        while (
            event := next((event for event in self.waiting if next_state(self.state, event)), None)
        ) is not None:
            self.waiting.remove(event)
            self.state = next_state(self.state, event)


class RecordFold:
    """Folds both topics; ask ``findings`` when everything was taken."""

    def __init__(self, profiles: Profiles, *, complete: bool = True) -> None:
        """Judge by ``profiles``; without the other topic's records, sequences and books cannot be judged."""
        self._profiles = profiles
        self._complete = complete
        self.tasks: dict[str, TaskFold] = {}
        self.entries: dict[str, dict[int, EntryRecorded]] = {}
        """Account → its entries by their numbers."""
        self.repeats_count = 0
        self._older_costs_count = 0
        self._seen: dict[str, bytes] = {}
        self._sequences: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
        self._noted: dict[str, dict[str, float]] = defaultdict(dict)
        self._faults: list[Finding] = []

    @property
    def events_count(self) -> int:
        """Count the events taken, each once."""
        return len(self._seen)

    def take(self, recorded: RecordedMessage[Message]) -> None:
        """Fold one record; one whose event id was taken before only has to be the same event."""
        envelope, message = recorded.envelope, recorded.message
        if not isinstance(message, Event):
            return
        digest = hashlib.sha256(json.dumps(message.body(), sort_keys=True).encode()).digest()
        known = self._seen.get(envelope.event_id)
        if known is not None:
            self.repeats_count += 1
            if known != digest:
                text = f"{message.type} was published twice with different contents"
                self._fault("one event, one content", envelope.event_id, text)
            return
        self._seen[envelope.event_id] = digest
        self._count(recorded, message)
        match message:
            case TaskEvent():
                task = self.tasks.setdefault(message.task_id, TaskFold(message.task_id, message.account_id))
                if task.account_id != message.account_id:
                    self._fault("walls", message.task_id, f"{message.type} names another account")
                task.take(message, envelope.occurred_at, self._profiles)
            case EntryRecorded():
                self.entries.setdefault(message.account_id, {})[envelope.sequence] = message
            case _:
                pass

    def note_verdicts(self, task_id: str, passed: Mapping[str, float]) -> None:
        """Take the rank scores of a task's passed candidates from a record that lacks the scorer's events."""
        self._noted[task_id].update(passed)

    def counts(self) -> dict[str, int]:
        """Count what was folded, by its word in the report; ask after ``findings``."""
        tasks = self.tasks.values()
        return {
            "events": self.events_count,
            "repeats": self.repeats_count,
            "tasks": len(self.tasks),
            "accounts": len(self.entries),
            "entries": sum(len(entries) for entries in self.entries.values()),
            "verdicts": sum(task.verdicts.count for task in tasks),
            "routing choices": sum(task.routes.attempts_count for task in tasks),
        } | ({OLDER: self._older_costs_count} if self._older_costs_count else {})

    def findings(self, now: datetime) -> list[Finding]:
        """Return every fault of the record as it stands at ``now``."""
        found = list(self._faults)
        for (producer, subject), sequences in sorted(self._sequences.items()) if self._complete else ():
            missing = max(sequences) - len(sequences)
            if missing:
                found.append(Finding("sequences", subject, f"{missing} events of {producer} are missing"))
        for task in self.tasks.values():
            if not task.verdicts.count:
                task.verdicts.note(self._noted[task.task_id])
            found.extend(_task_findings(task, now, self._profiles))
        found.extend(unknown_findings((task.verdicts for task in self.tasks.values()), self._profiles))
        books = self.books()
        if self._complete:
            for task in self.tasks.values():
                if len(task.settled) == 1:
                    books.take_bill(task.settled[0])
            costs = {task_id: task.cost for task_id, task in self.tasks.items()}
            report = compare_costs(costs, books.payables.by_task, now)
            self._older_costs_count = report.older_count
            books.findings += report.findings
        return [*found, *books.findings]

    def books(self) -> Books:
        """Fold the entries of every account, in the order that the ledger wrote them."""
        books = Books()
        for entries in self.entries.values():
            for sequence in sorted(entries):
                books.take_entry(entries[sequence])
        return books

    def _count(self, recorded: RecordedMessage[Message], message: Event) -> None:
        envelope = recorded.envelope
        if not envelope.sequence:
            return
        sequences = self._sequences[envelope.producer, envelope.subject]
        other = sequences.setdefault(envelope.sequence, envelope.event_id)
        if other != envelope.event_id:
            text = f"{envelope.producer} gave number {envelope.sequence} twice, the second time to {message.type}"
            self._fault("sequences", envelope.subject, text)

    def _fault(self, check: str, subject: str, text: str) -> None:
        self._faults.append(Finding(check, subject, text))


def _task_findings(task: TaskFold, now: datetime, profiles: Profiles) -> Iterator[Finding]:
    if task.state is None:
        yield Finding("state machine", task.task_id, f"it was never accepted, yet there is {task.waiting[0]}")
        return
    for event in task.waiting:
        yield Finding("state machine", task.task_id, f"{event} is not allowed in state {task.state.value}")
    yield from task.verdicts.faults
    yield from task.verdicts.pin_findings(task.task_id, profiles)
    yield from task.routes.faults
    if task.selected is not None:
        yield from selection_findings(task.selected, task.verdicts.passed)
        yield from task.verdicts.selection_findings(task.selected)
    if len(task.ends) > 1:
        yield Finding("one end", task.task_id, f"it has {len(task.ends)} ends: {', '.join(task.ends)}")
    yield from task.deadline.findings(task.task_id, task.state, now)
    yield from task.verdicts.gate_findings(task.task_id, task.delivered, profiles)
    yield from _bill_findings(task)


def _bill_findings(task: TaskFold) -> Iterator[Finding]:
    if len(task.settled) > 1:
        yield Finding("money", task.task_id, f"it was settled {len(task.settled)} times")
    for bill in task.settled:
        if bill.reserved_credits_micro != bill.settled_credits_micro + bill.released_credits_micro:
            text = (
                f"reserved {bill.reserved_credits_micro} is not settled {bill.settled_credits_micro}"
                f" + released {bill.released_credits_micro}"
            )
            yield Finding("money", task.task_id, text)
        due = len(task.delivered) * bill.price_per_output_credits_micro
        if bill.delivered_count > len(task.delivered) or bill.settled_credits_micro > due:
            text = (
                f"charged {bill.settled_credits_micro} micro-credits for {bill.delivered_count} outputs,"
                f" delivered {len(task.delivered)} worth {due}"
            )
            yield Finding("money", task.task_id, text)
