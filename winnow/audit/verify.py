"""The verifier of every source: each chain, and everything that the events say, derived again. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from winnow.audit.chains import UNREADABLE, Chain, Head, chain_of
from winnow.audit.finding import Finding
from winnow.audit.fold import RecordFold
from winnow.audit.lanes import KINDS, RECORD_TOPICS, is_journal, part_of
from winnow.audit.newer import Reader, announced_in
from winnow.audit.profiles import Profiles
from winnow.contracts.journals import SCORES_NOTED

if TYPE_CHECKING:
    from winnow.audit.sources import RecordSource


@dataclass(frozen=True, slots=True)
class LaneReport:
    """Report of one lane: blocks or records, events of the record in them, and the head of its chain."""

    lane: str
    items_count: int
    events_count: int
    head: Head


@dataclass(frozen=True, slots=True)
class Result:
    """Result of a verification. ``notes`` say what could not be checked; then it is not sound, nor at fault."""

    source: str
    lanes: tuple[LaneReport, ...]
    counts: Mapping[str, int]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """Return 0 for a sound source, 1 for one with faults, 2 for one that could not be checked as asked."""
        if self.findings:
            return 1
        return 2 if self.notes or not self.lanes else 0

    def to_document(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "source": self.source,
            "exit_code": self.exit_code,
            "lanes": [
                {
                    "lane": lane.lane,
                    "items": lane.items_count,
                    "events": lane.events_count,
                    "first": lane.head.first,
                    "last": lane.head.last,
                    "head": lane.head.hash,
                }
                for lane in self.lanes
            ],
            "counts": dict(self.counts),
            "findings": [
                {"check": finding.check, "about": finding.subject, "what": finding.text}
                for finding in self.findings
            ],
            "notes": list(self.notes),
        }


class LaneEvent(NamedTuple):
    """An event of the record as it lies in a lane, unread."""

    type: str
    body: str
    topic: str | None
    announced: int | None = None


class Judge(Protocol):
    """Folds the events of lanes into findings. ``reader`` counts what is newer than this build."""

    reader: Reader

    def take(self, event: LaneEvent) -> bool:
        """Take an event; False for one that is not of the record or newer. Raises what ``UNREADABLE`` names."""
        ...

    def counts(self) -> Mapping[str, int]:
        """Count what was folded; ask after ``findings``."""
        ...

    def findings(self, now: datetime) -> Sequence[Finding]:
        """Return every fault as the record stands at ``now``."""
        ...


class RecordJudge:
    """Judges everything that the events of the record say, over all lanes."""

    def __init__(self, profiles: Profiles, *, complete: bool = True) -> None:
        """Judge by ``profiles``; ``complete`` is false without the other topic's records."""
        self.fold = RecordFold(profiles, complete=complete)
        self.reader = Reader()

    def take(self, event: LaneEvent) -> bool:
        """Fold an event, or the router's note of verdicts."""
        if event.type == SCORES_NOTED:
            self._note_verdicts(json.loads(event.body))
            return False
        recorded = self.reader.read(event.type, event.body, event.announced)
        if recorded is None:
            return False
        self.fold.take(recorded)
        return True

    def counts(self) -> Mapping[str, int]:
        """Count what was folded."""
        return self.fold.counts()

    def findings(self, now: datetime) -> Sequence[Finding]:
        """Return every fault of the record."""
        return self.fold.findings(now)

    def _note_verdicts(self, noted: Mapping[str, Any]) -> None:
        passed = {
            candidate["candidate_id"]: float(candidate["score"])
            for candidate in noted["candidates"]
            if candidate["passed"]
        }
        self.fold.note_verdicts(str(noted["subject"]), passed)


@dataclass(slots=True)
class _Lane:
    chain: Chain
    events_count: int = 0
    findings: list[Finding] = field(default_factory=list)


class Verifier:
    """Takes the items of every lane, each lane in order, the lanes in any.

    ``close`` returns what was found so far.
    """

    def __init__(
        self,
        source: str,
        judge: Judge,
        anchored: Mapping[str, Head] | None = None,
        *,
        kinds: Sequence[str] = KINDS,
    ) -> None:
        """Compare with anchored heads; ``kinds`` of lanes are those that the source holds."""
        self._source = source
        self._judge = judge
        self._anchored = {
            lane: head for lane, head in (anchored or {}).items() if lane.partition("/")[0] in kinds
        }
        self._lanes: dict[str, _Lane] = {}

    def chain(self, lane: str) -> Chain:
        """Return the chain of a lane; a lane without an item is reported too."""
        return self._lane(lane).chain

    def take(self, lane: str, item: Mapping[str, Any]) -> None:
        """Take the next block or record of a lane."""
        audited = self._lane(lane)
        audited.chain.take(item)
        try:
            for event in events_of(lane, item):
                self._take_event(audited, item, event)
        except UNREADABLE as error:
            last, name = audited.chain.last, type(error).__name__
            is_block = is_journal(lane)
            text = (
                f"block {last} holds what is no decision"
                if is_block
                else f"the record after offset {last} is none"
            )
            audited.findings.append(Finding("readable", lane, f"{text} ({name})"))

    async def read(self, source: RecordSource) -> int:
        """Take what a source holds after what was taken from it before; return how many items. Raises Unavailable."""
        count = 0
        async for chain, item in source.items(self.chain):
            self.take(chain.lane, item)
            count += 1
        return count

    def close(self, now: datetime) -> Result:
        """Derive what is left to derive, and return everything found."""
        for lane in self._anchored:
            self._lane(lane)
        findings: list[Finding] = []
        notes: list[str] = []
        for audited in self._lanes.values():
            findings += [*audited.chain.faults(), *audited.findings]
            notes += audited.chain.notes
        findings += self._judge.reader.judged(self._judge.findings(now))
        notes += self._judge.reader.notes()
        lanes = tuple(
            LaneReport(lane, audited.chain.items_count, audited.events_count, audited.chain.head)
            for lane, audited in sorted(self._lanes.items())
        )
        return Result(self._source, lanes, self._judge.counts(), tuple(findings), tuple(notes))

    def _lane(self, lane: str) -> _Lane:
        if lane not in self._lanes:
            self._lanes[lane] = _Lane(chain_of(lane, self._anchored.get(lane)))
        return self._lanes[lane]

    def _take_event(self, lane: _Lane, item: Mapping[str, Any], event: LaneEvent) -> None:
        try:
            lane.events_count += self._judge.take(event)
        except UNREADABLE as error:
            number, place = (
                (item.get("block_no"), "block") if "block_no" in item else (item.get("offset"), "offset")
            )
            text = f"the {event.type} in {place} {number} cannot be read ({type(error).__name__})"
            lane.findings.append(Finding("readable", lane.chain.lane, text))


def events_of(lane: str, item: Mapping[str, Any]) -> Iterator[LaneEvent]:
    """Yield the events of the record in a block or a record; raises what ``UNREADABLE`` names."""
    if not is_journal(lane):
        kind = next((value for name, value in item["headers"] if name == "type"), "")
        if kind:
            yield LaneEvent(kind, item["body"], part_of(lane), announced_in(item))
        return
    for decision in item["decisions"]:
        for entry in decision["entries"]:
            if entry["topic"] in RECORD_TOPICS or entry["type"] == SCORES_NOTED:
                yield LaneEvent(entry["type"], entry["body"], entry["topic"])
    datetime.fromisoformat(item["at"])
