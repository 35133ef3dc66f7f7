"""The promises, checked on what can be seen from outside: the topics, the blocks, the provider, the receivers.

A model of its own that shares nothing with the services: it reads JSON, and it is asked after every record
that is appended and every block that is committed.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

from pydantic_core import from_json

from tests.simulation.books import Books

ENDS = {"task.delivered", "task.partially_delivered", "task.failed", "task.cancelled", "task.rejected"}
TASKS, ACCOUNTS = "winnow.tasks.v1", "winnow.accounts.v1"
COMMANDS, SCORER_COMMANDS = "winnow.ledger.commands.v1", "winnow.scorer.commands.v1"
_IDS = UUID("6f1d1f0e-7c43-5b7e-9f57-1d6f0b8a2c11")
_IDS_BYTES = _IDS.bytes
_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


class Broken(Exception):  # noqa: N818
    """A promise is broken; ``invariant`` names which."""

    def __init__(self, invariant: str, text: str) -> None:
        super().__init__(f"{invariant}: {text}")
        self.invariant = invariant


def check(holds: object, invariant: str, text: str) -> None:
    """Raise Broken unless it holds."""
    if not holds:
        raise Broken(invariant, text)


@dataclass
class Task:
    """A task as its record tells it."""

    accepted: dict[str, Any] | None = None
    funded: bool = False
    end_id: str | None = None
    end: dict[str, Any] | None = None
    passed: set[str] = field(default_factory=set)
    selected: list[str] | None = None
    settled: dict[str, Any] | None = None
    attempts: dict[str, dict[str, Any]] = field(default_factory=dict)
    returned: dict[str, dict[str, Any]] = field(default_factory=dict)


class Checker:
    """Follows a run record by record."""

    def __init__(self, *, whole: bool = True) -> None:
        """Check the hashes of blocks too, in a ``whole`` run, and read every text by Python's own parser."""
        self._whole = whole
        self._read: Callable[[bytes], Any] = json.loads if whole else from_json
        self._documents: dict[bytes, dict[str, Any]] = {}
        """Committed messages that are not on the bus yet."""
        self._history = hashlib.sha256()
        self.tasks: dict[str, Task] = defaultdict(Task)
        self.books = Books()
        self._bodies: dict[str, bytes] = {}
        self._sequences: dict[tuple[str, ...], int] = {}
        self._numbers: dict[tuple[str, str], set[int]] = defaultdict(set)
        self._heads: dict[tuple[str, str], tuple[int, str]] = {}
        self._causes: dict[tuple[str, str], str] = {}
        self._seen_causes: set[tuple[str, str, str]] = set()
        self.committed_events: dict[str, bytes] = {}
        self.attempts: set[str] = set()
        """Attempts whose submission is committed."""
        self.records = 0
        self.chunks: set[str] = set()
        """Chunks that were sent to be scored and have no verdict."""

    # Blocks.

    def block(self, service: str, row: dict[str, Any], *, everywhere: bool) -> None:
        """Check a block when it is committed: its place, its hash, that each input is decided once."""
        chain = (service, row["shard"])
        number, head = self._heads.get(chain, (0, "0" * 64))
        if row["block_no"] != number + 1:
            raise Broken("I7", f"{chain} has a gap before block {row['block_no']}")
        if row["prev_hash"] != head:
            raise Broken("I7", f"block {row['_id']} of {service} does not follow its head")
        if self._whole:
            self._check_hash(row)
        self._history.update(f"{service} {row['_id']} {row['offsets']} {row['at']} {row['sent_to']}".encode())
        self._heads[chain] = (row["block_no"], row["hash"])
        for decision in row["decisions"]:
            place = (service, "" if everywhere else row["shard"], decision["cause_id"])
            if place in self._seen_causes:
                raise Broken("I7", f"{service} decided {decision['cause_id']} twice")
            self._seen_causes.add(place)
            self._history.update(decision["cause_id"].encode())
            for ordinal, entry in enumerate(decision["entries"]):
                body = entry["body"].encode()
                document = self._read(body)
                self._history.update(body)
                event_id = document["event_id"]
                name = "\x1f".join(("evt", document["producer"], decision["cause_id"], str(ordinal)))
                if event_id != self._id_of(name):
                    text = f"{document['type']} {event_id} does not follow from {decision['cause_id']}, {ordinal}"
                    raise Broken("I7", text)
                if entry["topic"]:
                    if event_id in self.committed_events:
                        raise Broken("I7", f"event id {event_id} decided twice")
                    self.committed_events[event_id] = body
                    self._documents[body] = document
                if document["type"] == "attempt.submitted":
                    self.attempts.add(document["attempt_id"])

    def called(self, attempt_id: str) -> None:
        """Check a provider's call when it comes: its attempt is committed."""
        check(attempt_id in self.attempts, "I4", f"{attempt_id} was called for before its commit")

    @staticmethod
    def _check_hash(row: dict[str, Any]) -> None:
        content = {
            part: row[part] for part in ("shard", "block_no", "prev_hash", "offsets", "decisions", "at")
        }
        text = json.dumps(content, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
        check(hashlib.sha256(text.encode()).hexdigest() == row["hash"], "I7", f"{row['_id']}: wrong hash")

    def _id_of(self, name: str) -> str:
        """Return the event id that follows from a name; a light run writes the form of a UUID by hand."""
        if self._whole:
            return f"evt_{uuid5(_IDS, name)}"
        text = hashlib.sha1(_IDS_BYTES + name.encode()).hexdigest()
        return f"evt_{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANTS[text[16]]}{text[17:20]}-{text[20:32]}"

    # Records.

    def record(self, topic: str, key: str, body: bytes) -> None:
        """Check a record when it is appended."""
        self.records += 1
        if topic.endswith(".dlq"):
            raise Broken("I9", f"a service could not read what another sent: {topic}")
        document = self._documents.pop(body, None) or self._read(body)
        event_id = document["event_id"]
        self._history.update(f"{topic} {key} {event_id}".encode())
        known = self._bodies.get(event_id)
        if known is not None:
            if document["type"] != "candidates.scored":
                check(known == body, "I2", f"{document['type']} {event_id} was published with two contents")
            return
        self._bodies[event_id] = body
        if document["producer"] != "scorer":
            committed = self.committed_events.get(event_id)
            if committed != body:
                raise Broken("I7", f"{document['type']} is on the bus and not in a journal")
        self._in_order(topic, key, document)
        if topic == TASKS:
            self._task_event(document)
        elif topic == ACCOUNTS:
            if document["type"] == "entry.recorded":
                self.books.entry(document)
        elif topic == COMMANDS:
            self.books.command(document)
        elif topic == SCORER_COMMANDS:
            self.chunks.add(document["chunk_id"])

    def _in_order(self, topic: str, key: str, document: dict[str, Any]) -> None:
        if document["sequence"] == 0:
            return
        producer, number = (document["producer"], document["subject"]), document["sequence"]
        lane = (*producer, topic, key)
        before = self._sequences.get(lane, 0)
        if number <= before:
            text = f"{document['type']} {number} of {producer} comes after {before} ({topic} {key})"
            raise Broken("I2", text)
        self._sequences[lane] = number
        self._numbers[producer].add(number)

    def check_numbers(self) -> None:
        """Check that nothing that a producer numbered is missing."""
        for producer, numbers in self._numbers.items():
            check(
                len(numbers) == max(numbers), "I7", f"{producer} published {len(numbers)} of {max(numbers)}"
            )

    def _task_event(self, event: dict[str, Any]) -> None:
        task_id, kind = event["task_id"], event["type"]
        task = self.tasks[task_id]
        if kind == "task.accepted":
            task.accepted = event
        elif kind in ENDS:
            self._end(task_id, task, event)
        elif kind == "task.selected":
            self._selected(task_id, task, event)
        elif kind == "candidates.scored":
            self.chunks.discard(event["chunk_id"])
            task.passed |= {
                candidate["candidate_id"] for candidate in event["candidates"] if candidate["passed"]
            }
        elif kind == "attempt.submitted":
            check(task.funded, "P2", f"{task_id} buys before it is funded")
            task.attempts[event["attempt_id"]] = event
        elif kind == "attempt.finished":
            check(event["attempt_id"] not in task.returned, "I4", f"{event['attempt_id']} finished twice")
            task.returned[event["attempt_id"]] = event
        elif kind == "task.funded":
            task.funded = True
        elif kind == "task.settled":
            check(task.settled is None, "I3", f"{task_id} was settled twice")
            task.settled = event

    def _selected(self, task_id: str, task: Task, event: dict[str, Any]) -> None:
        check(
            task.selected is None and task.end is None, "I2", f"{task_id} was selected twice or after its end"
        )
        chosen = [candidate["candidate_id"] for candidate in event["selected"]]
        check(set(chosen) <= task.passed, "I5", f"{task_id}: a candidate was selected that did not pass")
        check(len(chosen) == len(set(chosen)) <= event["k"], "I5", f"{task_id}: selected {chosen}")
        task.selected = chosen

    def _end(self, task_id: str, task: Task, event: dict[str, Any]) -> None:
        check(
            task.end is None,
            "I2",
            f"{task_id} has two ends: {task.end and task.end['type']}, {event['type']}",
        )
        task.end = event
        delivered = [output["candidate_id"] for output in event.get("outputs", ())]
        check(set(delivered) <= set(task.selected or ()), "I5", f"{task_id}: delivered what was not selected")
        check(set(delivered) <= task.passed, "I5", f"{task_id}: delivered what did not pass")
        check(len(delivered) == len(set(delivered)), "I5", f"{task_id}: delivered one candidate twice")
        if event["type"] == "task.delivered" and task.accepted is not None:
            check(len(delivered) == task.accepted["k"], "I5", f"{task_id}: delivered {len(delivered)}")

    def digest(self) -> str:
        """Hash all that was committed and published, in order: equal runs give equal digests, light or whole."""
        whole = self._history.copy()
        for body in self._bodies.values():
            whole.update(body)
        return whole.hexdigest()[:16]
