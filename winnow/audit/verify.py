"""Verifies one source alone: every chain, and everything that its events say, derived again. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from winnow.audit.chains import UNREADABLE, BlockChain, Chain, Head, RecordChain
from winnow.audit.finding import Finding
from winnow.audit.fold import RecordFold
from winnow.audit.lanes import KINDS, RECORD_TOPICS, is_journal
from winnow.audit.newer import Reader, announced_in
from winnow.audit.profiles import Profiles

_SCORES_NOTED: Final = "router.scores_noted"
"""The router's own note of the verdicts, which stands in for the scorer's events: the scorer keeps no journal."""


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


@dataclass(slots=True)
class _Lane:
    chain: Chain
    events_count: int = 0
    findings: list[Finding] = field(default_factory=list)


class Verification:
    """Takes the items of every lane, each lane in order, the lanes in any.

    ``close`` returns what was found so far.
    """

    def __init__(
        self,
        source: str,
        anchored: Mapping[str, Head] | None = None,
        *,
        profiles: Profiles,
        kinds: Sequence[str] = KINDS,
    ) -> None:
        """Judge by ``profiles``, compare with anchored heads; ``kinds`` of lanes are those that the source holds."""
        self._source = source
        self._anchored = {
            lane: head for lane, head in (anchored or {}).items() if lane.partition("/")[0] in kinds
        }
        self._lanes: dict[str, _Lane] = {}
        self.fold = RecordFold(profiles)
        self._reader = Reader()

    def open(self, lane: str) -> None:
        """Begin a lane, so that one without an item is reported too."""
        if lane not in self._lanes:
            chain = BlockChain if is_journal(lane) else RecordChain
            self._lanes[lane] = _Lane(chain(lane, self._anchored.get(lane)))

    def take_block(self, lane: str, document: Mapping[str, Any]) -> None:
        """Take the next stored block of a journal's shard."""
        self.open(lane)
        audited = self._lanes[lane]
        audited.chain.take(document)
        try:
            entries = [entry for decision in document["decisions"] for entry in decision["entries"]]
            for entry in entries:
                if entry["topic"] in RECORD_TOPICS:
                    self._take_event(audited, f"block {document['block_no']}", entry["type"], entry["body"])
                elif entry["type"] == _SCORES_NOTED:
                    self._note_verdicts(json.loads(entry["body"]))
        except UNREADABLE as error:
            text = f"block {audited.chain.last} holds what is no decision ({type(error).__name__})"
            audited.findings.append(Finding("readable", lane, text))

    def take_record(self, lane: str, document: Mapping[str, Any]) -> None:
        """Take the next record of a topic's partition."""
        self.open(lane)
        audited = self._lanes[lane]
        audited.chain.take(document)
        try:
            kind = next((value for name, value in document["headers"] if name == "type"), "")
            place = f"offset {document['offset']}"
            self._take_event(audited, place, kind, document["body"], announced_in(document))
        except UNREADABLE as error:
            text = f"the record after offset {audited.chain.last} is none ({type(error).__name__})"
            audited.findings.append(Finding("readable", lane, text))

    def close(self, now: datetime) -> Result:
        """Derive what is left to derive, and return everything found."""
        for lane in self._anchored:
            self.open(lane)
        findings: list[Finding] = []
        notes: list[str] = []
        for audited in self._lanes.values():
            findings += [*audited.chain.faults(), *audited.findings]
            notes += audited.chain.notes
        findings += self._reader.judged(self.fold.findings(now))
        notes += self._reader.notes()
        lanes = tuple(
            LaneReport(lane, audited.chain.items_count, audited.events_count, audited.chain.head)
            for lane, audited in sorted(self._lanes.items())
        )
        return Result(self._source, lanes, self.fold.counts(), tuple(findings), tuple(notes))

    def _take_event(
        self, lane: _Lane, place: str, kind: str, body: str, announced: int | None = None
    ) -> None:
        if not kind:
            return
        try:
            recorded = self._reader.read(kind, body, announced)
        except (*UNREADABLE, ValidationError) as error:
            text = f"the {kind} in {place} cannot be read ({type(error).__name__})"
            lane.findings.append(Finding("readable", lane.chain.lane, text))
            return
        if recorded is None:
            return
        lane.events_count += 1
        self.fold.take(recorded)

    def _note_verdicts(self, noted: Mapping[str, Any]) -> None:
        passed = {
            candidate["candidate_id"]: float(candidate["score"])
            for candidate in noted["candidates"]
            if candidate["passed"]
        }
        self.fold.note_verdicts(str(noted["subject"]), passed)
