"""Verifies one lane of an archive by itself, so that lanes can be verified in processes of their own."""

from __future__ import annotations

import asyncio
import hashlib
from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from pydantic import ValidationError

from winnow.audit.archive_source import ArchiveSource
from winnow.audit.blob_store import Location
from winnow.audit.books import Books, NumberedBill, NumberedEntry
from winnow.audit.chains import UNREADABLE, Head
from winnow.audit.costs import TaskCost
from winnow.audit.finding import Finding
from winnow.audit.lanes import is_journal, part_of
from winnow.audit.manifests import Segment
from winnow.audit.newer import Reader
from winnow.audit.profiles import Profiles
from winnow.audit.verify import LaneEvent, RecordJudge, Result, Verifier
from winnow.contracts.envelope import Envelope
from winnow.contracts.events import EntryRecorded, TaskSettled
from winnow.contracts.topics import ACCOUNTS
from winnow.runtime.gc_tuning import rare_collections

SOURCE: Final = "archive"
_LEDGER: Final = "ledger"
_ENTRY: Final = EntryRecorded.type_name()
_BILL: Final = TaskSettled.type_name()
_MARK_BYTES: Final = 8
_COUNTED_ELSEWHERE: Final = ("accounts", "entries", "events")
"""Counts of a topic's fold that the ledger's journal gives."""


@dataclass(frozen=True, slots=True)
class LaneTask:
    """A lane to verify: where the archive is, its segments, its anchored head, the profiles to judge by."""

    place: Location
    lane: str
    segments: tuple[Segment, ...]
    anchored: Head | None
    now: datetime
    profiles: Profiles


@dataclass(slots=True)
class LaneOutcome:
    """Result of a lane. ``marks`` holds 8 bytes of hash for every event of the record in it, by topic."""

    result: Result
    marks: dict[str, array[int]]
    costs: dict[str, TaskCost] = field(default_factory=dict)
    payables: dict[str, int] = field(default_factory=dict)
    horizon: datetime | None = None
    """Time at which the last block of a shard of the ledger was written."""


def mark_of(body: str) -> int:
    """Return 8 bytes of an event's hash as a number; equal texts give equal marks."""
    return int.from_bytes(hashlib.sha256(body.encode()).digest()[:_MARK_BYTES], "big")


def verify_lane(task: LaneTask) -> LaneOutcome:
    """Verify a lane in a process of its own."""
    with rare_collections():
        return asyncio.run(lane_outcome(task))


async def lane_outcome(task: LaneTask) -> LaneOutcome:
    """Verify a lane; raises Unavailable when the blob store does not answer."""
    judge, faults, written_at = LaneJudge(task), list[Finding](), None
    verifier = Verifier(SOURCE, judge, {task.lane: task.anchored} if task.anchored else {})
    async with task.place.open() as store:
        source = ArchiveSource(
            store, {task.lane: task.segments}, lambda lane, text: faults.append(Finding(SOURCE, lane, text))
        )
        async for chain, item in source.items(verifier.chain):
            verifier.take(chain.lane, item)
            written_at = item.get("at", written_at)
    result = verifier.close(task.now)
    notes = tuple(note if note.startswith(task.lane) else f"{task.lane}: {note}" for note in result.notes)
    result = replace(result, findings=(*faults, *result.findings), notes=notes)
    outcome = LaneOutcome(result, dict(judge.marks))
    if judge.books is not None:
        outcome.payables = judge.books.payables.by_task
        outcome.horizon = _moment(written_at)
    if judge.record is not None:
        outcome.costs = {task_id: fold.cost for task_id, fold in judge.record.fold.tasks.items()}
    return outcome


def _moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except UNREADABLE:
        return None


class LaneJudge:
    """Marks every event of a lane; folds the books of the ledger's journal, and the tasks of a topic that has them."""

    def __init__(self, task: LaneTask) -> None:
        """Begin."""
        part, of_journal = part_of(task.lane), is_journal(task.lane)
        self.books = Books() if of_journal and part == _LEDGER else None
        has_tasks = not of_journal and part != ACCOUNTS.name
        self.record = RecordJudge(task.profiles, complete=False) if has_tasks else None
        self.reader = self.record.reader if self.record else Reader()
        self.marks: defaultdict[str, array[int]] = defaultdict(partial(array, "Q"))

    def take(self, event: LaneEvent) -> bool:
        """Mark an event of the record, then judge it."""
        if event.topic is None:
            return False
        self.marks[event.topic].append(mark_of(event.body))
        if self.books is not None:
            self._book(self.books, event.type, event.body)
        elif self.record is not None:
            self.record.take(event)
        return True

    def counts(self) -> Mapping[str, int]:
        """Count what was folded, without what another lane counts."""
        if self.books is not None:
            return self.books.counts()
        counts = self.record.counts() if self.record is not None else {}
        return {name: count for name, count in counts.items() if count and name not in _COUNTED_ELSEWHERE}

    def findings(self, now: datetime) -> Sequence[Finding]:
        """Return the faults of the lane's contents."""
        if self.record is not None:
            return self.record.findings(now)
        return self.books.findings if self.books is not None else ()

    def _book(self, books: Books, kind: str, body: str) -> None:
        try:
            _book_newest(books, kind, body)
        except ValidationError:
            newest = self.reader.current(kind, body)
            if newest is None:
                envelope = Envelope.model_validate_json(body)
                books.count(envelope.subject, envelope.sequence)
            elif newest == body:
                raise
            else:
                _book_newest(books, kind, newest)


def _book_newest(books: Books, kind: str, body: str) -> None:
    if kind == _ENTRY:
        entry = NumberedEntry.model_validate_json(body)
        books.count(entry.account_id, entry.sequence)
        books.take_entry(entry)
    elif kind == _BILL:
        bill = NumberedBill.model_validate_json(body)
        books.count(bill.subject, bill.sequence)
        books.take_bill(bill)
    else:
        envelope = Envelope.model_validate_json(body)
        books.count(envelope.subject, envelope.sequence)
