"""The row of a task and its segments depend on the records alone, and leave nothing out."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.app.notifier import Notifier
from services.ingest.app.projection import Projection
from services.ingest.domain.task_row import (
    CANDIDATES_IN_SEGMENT,
    EVENTS_IN_SEGMENT,
    TaskRow,
    fold_row,
    segment_of,
)
from tests.contract.ingest.segment_suite import large_task
from tests.contract.ingest.store_suite import task_named
from tests.unit.ingest.memory_stores import MemoryViews

RECORDS = large_task(task_named("row", "acct_one"))


async def kept(sizes: list[int], *, forget: bool) -> MemoryViews:
    """Fold the records in batches of these sizes, the last of what is left; ``forget`` reads each row from the store."""
    views = MemoryViews()
    projection = Projection(views, Notifier())
    records: list[tuple[int, Any]] = list(enumerate(RECORDS))
    for size in (*sizes, len(records)):
        batch, records = records[:size], records[size:]
        assert await projection.fold_tasks(0, batch) is None
        if forget:
            projection.forget(0)
    return views


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 30), max_size=20), st.booleans())
async def test_batches_of_any_size_keep_the_same_row_and_segments(sizes: list[int], forget: bool) -> None:
    assert await kept(sizes, forget=forget) == await kept([1] * len(RECORDS), forget=False)


async def test_every_event_and_candidate_is_in_the_row_or_in_a_segment() -> None:
    views = await kept([7] * 10, forget=False)
    (row,) = views.tasks_kept.values()
    numbers = [event.number for events in (*views.full.values(), row.events) for event in events]
    assert numbers == list(range(1, len(RECORDS) + 1))
    assert {len(events) for events in views.full.values()} == {EVENTS_IN_SEGMENT}
    segments = [views.segments[place] for place in sorted(views.segments)]
    assert {len(segment.candidates) for segment in segments} == {CANDIDATES_IN_SEGMENT}
    names = [
        name for fields in (*(segment.candidates for segment in segments), row.candidates) for name in fields
    ]
    assert names == list(row.view.candidates)
    for segment in segments:
        assert {segment_of(row.view, name) for name in segment.candidates} == {segment.first}


async def test_candidates_in_segments_change_with_the_view() -> None:
    views = await kept([7] * 10, forget=False)
    (row,) = views.tasks_kept.values()
    for segment in views.segments.values():
        for name, fields in segment.candidates.items():
            assert (fields["state"], fields.get("offering", "")) == (
                row.view.candidates[name].state,
                row.view.candidates[name].offering,
            )


def test_a_record_that_is_folded_already_leaves_the_row_as_it_is() -> None:
    row: TaskRow | None = None
    for offset, record in enumerate(RECORDS):
        row = fold_row(row, record, offset).row
    assert row is not None
    for offset, record in enumerate(RECORDS):
        change = fold_row(row, record, offset)
        assert change.row is row
        assert (change.events, list(change.segments)) == ((), [])


def test_a_repeated_event_at_a_new_offset_moves_the_offset_alone() -> None:
    row = fold_row(None, RECORDS[0], 0).row
    again = fold_row(row, RECORDS[0], 1)
    assert (again.row.view.offset, again.row.events, again.events) == (1, row.events, ())


def test_an_unknown_candidate_is_in_no_segment() -> None:
    assert segment_of(fold_row(None, RECORDS[0], 0).row.view, "cand_none") is None
