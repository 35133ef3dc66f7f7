"""The stored form of a task: its view, and the events and candidates that are not in a segment yet.

Events fill segments in their order. A full segment is written once and never changes. Candidates fill segments in the order of
planning. A full segment moves out of the row whole; later events change it there. What moves, and when, follows from the
records alone, so that every writer writes the same segments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final

from services.ingest.domain.task_projection import PublicEvent, fold
from services.ingest.domain.views import TaskView
from winnow.contracts.envelope import RecordedMessage
from winnow.contracts.events import TaskEvent

EVENTS_IN_SEGMENT: Final = 32
CANDIDATES_IN_SEGMENT: Final = 16
Details = Mapping[str, Any]
"""Fields of a candidate by name."""


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task with the events and the candidates (by id) of its last segments, which are not full."""

    view: TaskView
    events: tuple[PublicEvent, ...] = ()
    candidates: Mapping[str, Details] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CandidateSegment:
    """Candidates from number ``first`` on, counted from 0, as of ``offset``; all fields if ``is_whole``, else only changed fields."""

    task_id: str
    account_id: str
    first: int
    offset: int
    candidates: Mapping[str, Details]
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class RowChange:
    """Changes of a record: the row, a segment of events that became full, segments of candidates."""

    row: TaskRow
    events: tuple[PublicEvent, ...] = ()
    segments: Sequence[CandidateSegment] = ()


@dataclass(frozen=True, slots=True)
class BatchRows:
    """Changes of a batch: rows by task, full segments of events, changed segments of candidates.

    ``new`` names the tasks whose rows were not stored before, as far as the writer knows.
    """

    rows: Mapping[str, TaskRow]
    events: Sequence[tuple[PublicEvent, ...]] = ()
    segments: Sequence[CandidateSegment] = ()
    new: frozenset[str] = frozenset()


def joined(batches: Sequence[BatchRows]) -> BatchRows:
    """Return the changes of batches about different tasks as those of one."""
    if len(batches) == 1:
        return batches[0]
    return BatchRows(
        {task_id: row for batch in batches for task_id, row in batch.rows.items()},
        [events for batch in batches for events in batch.events],
        [segment for batch in batches for segment in batch.segments],
        frozenset().union(*(batch.new for batch in batches)),
    )


def fold_row(row: TaskRow | None, recorded: RecordedMessage[TaskEvent], offset: int) -> RowChange:
    """Fold a record into a row; a record at or below the row's offset changes nothing, the row stays the same object."""
    change = fold(row.view if row else None, recorded, offset)
    row = row or TaskRow(TaskView(change.view.task_id, change.view.account_id))
    if change.event is None:
        return RowChange(row if row.view is change.view else replace(row, view=change.view))
    events, full = (*row.events, change.event), ()
    if len(events) == EVENTS_IN_SEGMENT:
        events, full = (), events
    candidates, segments = _candidates_after(row, change.view, change.patches)
    return RowChange(TaskRow(change.view, events, candidates), full, segments)


def merged(earlier: CandidateSegment | None, later: CandidateSegment) -> CandidateSegment:
    """Return one change for two of the same segment; only the earlier may be whole."""
    if earlier is None:
        return later
    candidates = {key: dict(fields) for key, fields in earlier.candidates.items()}
    for key, fields in later.candidates.items():
        candidates.setdefault(key, {}).update(fields)
    return replace(earlier, offset=later.offset, candidates=candidates)


def segment_of(view: TaskView, candidate_id: str) -> int | None:
    """Return the number of the first candidate in the segment of a candidate; None for an unknown candidate."""
    for number, name in enumerate(view.candidates):
        if name == candidate_id:
            return number - number % CANDIDATES_IN_SEGMENT
    return None


def _candidates_after(
    row: TaskRow, view: TaskView, patches: Mapping[str, Details]
) -> tuple[Mapping[str, Details], list[CandidateSegment]]:
    if not patches:
        return row.candidates, []
    known = row.view.candidates
    tail = {key: {**fields, **patches.get(key, {})} for key, fields in row.candidates.items()}
    tail |= {key: dict(patches[key]) for key in islice(view.candidates, len(known), None)}
    segments: list[CandidateSegment] = []
    first = len(known) - len(row.candidates)
    while len(tail) >= CANDIDATES_IN_SEGMENT:
        full = {key: tail.pop(key) for key in list(islice(tail, CANDIDATES_IN_SEGMENT))}
        segments.append(
            CandidateSegment(view.task_id, view.account_id, first, view.offset, full, is_whole=True)
        )
        first += CANDIDATES_IN_SEGMENT
    return tail, [*_changes_in_segments(row, view, patches), *segments]


def _changes_in_segments(
    row: TaskRow, view: TaskView, patches: Mapping[str, Details]
) -> list[CandidateSegment]:
    """Return the changes of candidates that left the row before."""
    left = [key for key in patches if key in row.view.candidates and key not in row.candidates]
    if not left:
        return []
    numbers = {key: number for number, key in enumerate(row.view.candidates)}
    by_segment: dict[int, dict[str, Details]] = {}
    for key in left:
        by_segment.setdefault(numbers[key] - numbers[key] % CANDIDATES_IN_SEGMENT, {})[key] = patches[key]
    return [
        CandidateSegment(view.task_id, view.account_id, first, view.offset, changed)
        for first, changed in by_segment.items()
    ]
