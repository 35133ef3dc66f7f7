"""Verifies one lane of an archive by itself, so that lanes can be verified in processes of their own."""

from __future__ import annotations

import asyncio
import hashlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from winnow.audit.blob_store import BlobStore, Location
from winnow.audit.books import Books, NumberedBill, NumberedEntry
from winnow.audit.chains import UNREADABLE, BlockChain, Chain, Head, RecordChain
from winnow.audit.costs import TaskCost
from winnow.audit.finding import Finding
from winnow.audit.fold import RecordFold
from winnow.audit.lanes import RECORD_TOPICS, is_journal, part_of
from winnow.audit.manifests import Segment, order_faults, sha256_of
from winnow.audit.newer import Reader, announced_in
from winnow.audit.profiles import Profiles
from winnow.audit.segments import BrokenSegment, unpack
from winnow.audit.verify import LaneReport
from winnow.contracts.envelope import Envelope
from winnow.contracts.errors import NotFound
from winnow.contracts.events import EntryRecorded, TaskSettled
from winnow.contracts.topics import ACCOUNTS
from winnow.runtime.gc_tuning import rare_collections

_LEDGER: Final = "ledger"
_ENTRY: Final = EntryRecorded.type_name()
_BILL: Final = TaskSettled.type_name()
_MARK_BYTES: Final = 8


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

    report: LaneReport
    findings: list[Finding]
    notes: list[str]
    counts: dict[str, int]
    marks: dict[str, array[int]] = field(default_factory=dict)
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
    check = JournalCheck(task) if is_journal(task.lane) else TopicCheck(task)
    faults = [Finding("archive", task.lane, text) for text in order_faults(task.segments)]
    async with task.place.open() as store:
        for segment in task.segments:
            for document in await _documents(store, segment, faults):
                check.take(document)
            check.end_of(segment)
    outcome = check.outcome()
    outcome.findings[:0] = faults
    return outcome


async def _documents(store: BlobStore, segment: Segment, faults: list[Finding]) -> Iterator[dict[str, Any]]:
    try:
        body = await store.get(segment.name)
    except NotFound:
        faults.append(Finding("archive", segment.lane, f"{segment.name} is in the manifest and not there"))
        return iter(())
    if sha256_of(body) != segment.sha256:
        text = f"{segment.name} does not have the hash that its manifest says: it was changed"
        faults.append(Finding("archive", segment.lane, text))
    return _items(body, segment, faults)


def _items(body: bytes, segment: Segment, faults: list[Finding]) -> Iterator[dict[str, Any]]:
    count = 0
    try:
        for document in unpack(body):
            count += 1
            yield document
    except BrokenSegment as error:
        faults.append(Finding("archive", segment.lane, f"{segment.name} cannot be read: {error}"))
    if count != segment.items_count:
        text = f"{segment.name} holds {count} items, its manifest says {segment.items_count}"
        faults.append(Finding("archive", segment.lane, text))


class _Check:
    """Common check of journals and topics."""

    def __init__(self, task: LaneTask, chain: Chain) -> None:
        """Begin."""
        self.task = task
        self.chain = chain
        self.findings: list[Finding] = []
        self.events_count = 0
        self.marks: dict[str, array[int]] = {}
        self.reader = Reader()

    def mark(self, topic: str, body: str) -> None:
        """Note an event of the record."""
        self.events_count += 1
        if topic not in self.marks:
            self.marks[topic] = array("Q")
        self.marks[topic].append(mark_of(body))

    def end_of(self, segment: Segment) -> None:
        """Compare the chain with what the manifest says of it here."""
        head = self.chain.head
        if (head.last, head.hash) != (segment.last, segment.head) and not self.chain.findings:
            text = f"after {segment.name} the chain is not where its manifest says"
            self.fault("archive", text)

    def fault(self, check: str, text: str) -> None:
        """Note a fault of the lane."""
        self.findings.append(Finding(check, self.task.lane, text))

    def finished(self, counts: Mapping[str, int], more: Sequence[Finding]) -> LaneOutcome:
        """Return what was found."""
        return LaneOutcome(
            LaneReport(self.task.lane, self.chain.items_count, self.events_count, self.chain.head),
            [*self.chain.faults(), *self.findings, *self.reader.judged(more)],
            [*self.chain.notes, *(f"{self.task.lane}: {note}" for note in self.reader.notes())],
            {name: count for name, count in counts.items() if count},
            self.marks,
        )


class JournalCheck(_Check):
    """A shard of a journal: its chain, and if it is the ledger's, its books."""

    def __init__(self, task: LaneTask) -> None:
        """Begin."""
        super().__init__(task, BlockChain(task.lane, task.anchored))
        self.books = Books() if part_of(task.lane) == _LEDGER else None
        self._written_at: datetime | None = None

    def take(self, document: Mapping[str, Any]) -> None:
        """Take the next block."""
        self.chain.take(document)
        try:
            self._written_at = datetime.fromisoformat(document["at"])
            for decision in document["decisions"]:
                for entry in decision["entries"]:
                    topic = entry["topic"]
                    if topic in RECORD_TOPICS:
                        self.mark(topic, entry["body"])
                        if self.books is not None:
                            self._book(self.books, entry["type"], entry["body"])
        except (*UNREADABLE, ValidationError) as error:
            self.fault("readable", f"block {self.chain.last} holds what is no event ({type(error).__name__})")

    def _book(self, books: Books, kind: str, body: str) -> None:
        try:
            self._book_newest(books, kind, body)
        except ValidationError:
            newest = self.reader.current(kind, body)
            if newest is None:
                envelope = Envelope.model_validate_json(body)
                books.count(envelope.subject, envelope.sequence)
            elif newest == body:
                raise
            else:
                self._book_newest(books, kind, newest)

    def _book_newest(self, books: Books, kind: str, body: str) -> None:
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

    def outcome(self) -> LaneOutcome:
        """Return what was found."""
        books = self.books or Books()
        counts = {
            "accounts": len(books.balances),
            "entries": books.entries_count(),
            "bills": books.bills_count,
        }
        outcome = self.finished(counts, books.findings)
        outcome.payables = books.payables.by_task
        outcome.horizon = self._written_at if self.books is not None else None
        return outcome


class TopicCheck(_Check):
    """A partition of a topic: its chain, and if it is of the tasks, every task in it."""

    def __init__(self, task: LaneTask) -> None:
        """Begin."""
        super().__init__(task, RecordChain(task.lane, task.anchored))
        self.topic = part_of(task.lane)
        self.fold = RecordFold(task.profiles, complete=False) if self.topic != ACCOUNTS.name else None

    def take(self, document: Mapping[str, Any]) -> None:
        """Take the next record."""
        self.chain.take(document)
        try:
            kind = next((value for name, value in document["headers"] if name == "type"), "")
            if not kind:
                return
            self.mark(self.topic, document["body"])
            if self.fold is None:
                return
            recorded = self.reader.read(kind, document["body"], announced_in(document))
            if recorded is not None:
                self.fold.take(recorded)
        except (*UNREADABLE, ValidationError) as error:
            text = f"the record of offset {self.chain.last} cannot be read ({type(error).__name__})"
            self.fault("readable", text)

    def outcome(self) -> LaneOutcome:
        """Return what was found."""
        if self.fold is None:
            return self.finished({}, [])
        counts = {name: count for name, count in self.fold.counts().items() if name not in _COUNTED_ELSEWHERE}
        outcome = self.finished(counts, self.fold.findings(self.task.now))
        outcome.costs = {task_id: task.cost for task_id, task in self.fold.tasks.items()}
        return outcome


_COUNTED_ELSEWHERE: Final = ("accounts", "entries", "events")
