"""Verifies an archive: its manifests, every lane in a process of its own, and the journals against the topics."""

from __future__ import annotations

import asyncio
import json
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from multiprocessing import get_context
from typing import Any, Final

from winnow.audit.archive_lane import SOURCE, LaneOutcome, LaneTask, lane_outcome, mark_of, verify_lane
from winnow.audit.archive_source import ArchiveSource
from winnow.audit.blob_store import Location
from winnow.audit.chains import UNREADABLE, BlockChain, Head
from winnow.audit.costs import OLDER, CostReport, compare_costs
from winnow.audit.finding import Finding
from winnow.audit.lanes import RECORD_TOPICS, is_journal, part_of
from winnow.audit.manifests import BrokenArchive, Segment, read_catalogue
from winnow.audit.profiles import Profiles
from winnow.audit.verify import Result
from winnow.contracts.topics import TASKS

_NAMED_MAX: Final = 20


async def verify_archive(
    location: Location, anchored: Mapping[str, Head], now: datetime, *, profiles: Profiles, processes: int
) -> Result:
    """Verify an archive with so many processes; raises Unavailable when its blob store does not answer."""
    try:
        async with location.open() as store:
            catalogue = await read_catalogue(store)
    except BrokenArchive as error:
        return Result(SOURCE, (), {}, (Finding(SOURCE, location.address, str(error)),), ())
    lanes = catalogue.segments()
    tasks = [
        LaneTask(location, lane, tuple(segments), anchored.get(lane), now, profiles)
        for lane, segments in sorted(lanes.items(), key=lambda pair: -_size_bytes(pair[1]))
    ]
    outcomes = await _verified(tasks, processes)
    results = [outcome.result for outcome in outcomes]
    findings = [finding for result in results for finding in result.findings]
    findings += [
        Finding(SOURCE, lane, f"it was anchored to {head.last} and is not in the archive")
        for lane, head in anchored.items()
        if lane not in lanes
    ]
    for topic in RECORD_TOPICS:
        findings += [finding async for finding in _not_published(location, lanes, outcomes, topic)]
    report = _cost_report(outcomes)
    findings += report.findings
    counts: Counter[str] = Counter({OLDER: report.older_count} if report.older_count else {})
    for result in results:
        counts.update(result.counts)
    counts["manifests"] = len(catalogue.manifests)
    reports = sorted((lane for result in results for lane in result.lanes), key=lambda lane: lane.lane)
    notes = tuple(note for result in results for note in result.notes)
    return Result(SOURCE, tuple(reports), dict(counts), tuple(findings), notes)


def _size_bytes(segments: Sequence[Segment]) -> int:
    return sum(segment.size_bytes for segment in segments)


async def _verified(tasks: Sequence[LaneTask], processes: int) -> list[LaneOutcome]:
    """Verify lanes, the largest first; one process does it without starting another."""
    if processes <= 1 or len(tasks) <= 1:
        return [await lane_outcome(task) for task in tasks]
    with ProcessPoolExecutor(min(processes, len(tasks)), mp_context=get_context("spawn")) as pool:
        return await asyncio.to_thread(lambda: list(pool.map(verify_lane, tasks)))


def _cost_report(outcomes: Sequence[LaneOutcome]) -> CostReport:
    """Compare the ledger's debt to providers with the attempts; only where both are archived."""
    costs = {task_id: cost for outcome in outcomes for task_id, cost in outcome.costs.items()}
    payables = {task_id: owed for outcome in outcomes for task_id, owed in outcome.payables.items()}
    horizon = max((outcome.horizon for outcome in outcomes if outcome.horizon is not None), default=None)
    has_tasks = any(part_of(outcome.result.lanes[0].lane) == TASKS.name for outcome in outcomes)
    if not has_tasks or horizon is None:
        return CostReport((), 0)
    return compare_costs(costs, payables, horizon)


async def _not_published(
    location: Location, lanes: Mapping[str, Sequence[Segment]], outcomes: Sequence[LaneOutcome], topic: str
) -> AsyncIterator[Finding]:
    """Find what a journal committed and its topic does not have, to the byte; only where both are archived."""
    from_journals: dict[str, array[int]] = {}
    published: set[int] = set()
    has_topic = False
    for outcome in outcomes:
        lane = outcome.result.lanes[0].lane
        if is_journal(lane):
            from_journals[lane] = outcome.marks.get(topic, array("Q"))
        elif part_of(lane) == topic:
            has_topic = True
            published.update(outcome.marks.get(topic, array("Q")))
    if not has_topic:
        return
    for lane, marks in from_journals.items():
        lost = {mark for mark in marks if mark not in published}
        if lost:
            async for finding in _named(location, lane, lanes[lane], topic, lost):
                yield finding


async def _named(
    location: Location, lane: str, segments: Sequence[Segment], topic: str, lost: set[int]
) -> AsyncIterator[Finding]:
    """Name the events of these marks by reading the lane once more; the first twenty of them."""
    named = 0
    async with location.open() as store:
        source = ArchiveSource(store, {lane: segments}, lambda *_: None)
        async for block in source.lane_items(BlockChain(lane)):
            for key, event in _lost_events(block, topic, lost):
                if named < _NAMED_MAX:
                    named += 1
                    text = f"{event} in {lane} is not in {topic}, or another text is"
                    yield Finding("published", key, text)
    if len(lost) > named:
        yield Finding("published", lane, f"{len(lost) - named} more events are not in {topic}")


def _lost_events(block: Mapping[str, Any], topic: str, lost: set[int]) -> Iterator[tuple[str, str]]:
    """Yield key and name of each lost event of a block, as far as the block can be read; its lane names the fault."""
    try:
        for decision in block["decisions"]:
            for entry in decision["entries"]:
                if entry["topic"] == topic and mark_of(entry["body"]) in lost:
                    event = f"{entry['type']} {_event_id(entry['body'])} of block {block['block_no']}"
                    yield str(entry["key"]), event
    except UNREADABLE:
        return


def _event_id(body: str) -> object:
    try:
        return json.loads(body)["event_id"]
    except UNREADABLE:
        return None
