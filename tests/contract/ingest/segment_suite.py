"""Promises of the read model about tasks that do not fit into their row, for the fake in memory and the real store alike."""

from __future__ import annotations

from typing import Any

from services.ingest.domain.task_projection import Page
from services.ingest.domain.task_row import CANDIDATES_IN_SEGMENT, BatchRows
from tests.contract.ingest.store_suite import START, Stores, accepted, folded, recorded, task_named
from tests.unit.ingest.events import OFFERING, Tale
from winnow.contracts.envelope import RecordedMessage
from winnow.contracts.events import AttemptSubmitted, RoundPlanned
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.values import PlannedCandidate


def planned(tale: Tale, round_index: int, count: int) -> RoundPlanned:
    candidates = [
        PlannedCandidate(candidate_id=candidate_id(tale, round_index, index), index=index, seed=index)
        for index in range(count)
    ]
    return RoundPlanned(
        **tale.ids,
        round_index=round_index,
        candidates=candidates,
        wanted_count=1,
        assumed_pass_rate_ppm=500_000,
        reason="first",
    )


def submitted(tale: Tale, round_index: int, index: int, try_number: int) -> AttemptSubmitted:
    return AttemptSubmitted(
        **tale.ids,
        attempt_id=derive_id(Prefix.attempt, tale.ids["task_id"], round_index, index, try_number),
        round_index=round_index,
        candidate_ids=[candidate_id(tale, round_index, index)],
        offering=f"{OFFERING}-{try_number}",
        provider="fal",
        try_number=try_number,
        expected_cost_usd_micro=100,
        alternatives=[],
    )


def candidate_id(tale: Tale, round_index: int, index: int) -> str:
    return derive_id(Prefix.candidate, tale.ids["task_id"], round_index, index)


def large_task(tale: Tale) -> list[RecordedMessage[Any]]:
    """Return 70 records of a task of three rounds: 40 candidates, most with an attempt, some with a second."""
    events: list[Any] = []
    for round_index, count in enumerate((14, 24, 2)):
        events.append(planned(tale, round_index, count))
        events += [submitted(tale, round_index, index, 1) for index in range(0, count, 1 + round_index)]
    events += [submitted(tale, 0, index, 2) for index in range(14)]
    events += [submitted(tale, 1, index, 2) for index in range(24)]
    events += [submitted(tale, 2, index, 2) for index in range(2)]
    records = [accepted(tale, START)]
    records += [recorded(event, "router", number, START) for number, event in enumerate(events, 1)]
    return records[:70]


def without_ids(candidate: Any) -> Any:
    return {name: value for name, value in candidate.items() if not name.endswith("_id")}


class SegmentSuite:
    """Every test takes ``stores`` and an account of its own."""

    async def test_a_large_task_reads_back_from_its_segments(self, stores: Stores, account: str):
        records = large_task(task_named("large", account))
        task_id = records[0].message.task_id
        steps = folded(records)
        for step in steps:
            await stores.writer.save(step)
        (row,) = steps[-1].rows.values()
        assert (len(row.view.candidates), row.view.events_count) == (40, 70)
        assert (len(row.candidates), len(row.events)) == (8, 6)
        rows = await stores.views.candidates(account, task_id, Page(None, 100))
        assert [candidate["candidate_id"] for candidate in rows] == list(row.view.candidates)
        states = [status.state.value for status in row.view.candidates.values()]
        assert [candidate["state"] for candidate in rows] == states
        assert states.count("generating") > CANDIDATES_IN_SEGMENT
        for limit in (1, 7, 16, 33):
            assert await self._pages(stores, account, task_id, limit) == rows
        generating = await stores.views.candidates(account, task_id, Page(None, 100, "generating"))
        assert generating == [candidate for candidate in rows if candidate["state"] == "generating"]
        for shown in (rows[0], rows[17], rows[39]):
            assert await stores.views.candidate(account, task_id, shown["candidate_id"]) == shown
        for after in (0, 1, 31, 32, 33, 63, 64, 69, 70):
            events = await stores.views.events(account, task_id, after, 100)
            assert [event.number for event in events] == list(range(after + 1, 71))
        assert [event.number for event in await stores.views.events(account, task_id, 20, 25)] == list(
            range(21, 46)
        )
        assert await stores.views.candidate("acct_stranger", task_id, rows[0]["candidate_id"]) is None
        assert (await stores.writer.load([task_id])) == {task_id: row}

    async def _pages(self, stores: Stores, account: str, task_id: str, limit: int) -> list[Any]:
        found: list[Any] = []
        after = None
        while page := await stores.views.candidates(account, task_id, Page(after, limit)):
            assert len(page) <= limit
            found += page
            after = (page[-1]["place"], "")
        return found

    async def test_two_writers_of_a_large_task_in_any_turn_leave_what_one_leaves(
        self, stores: Stores, account: str
    ):
        alone, shared = (large_task(task_named(name, account)) for name in ("alone", "shared"))
        for step in folded(alone):
            await stores.writer.save(step)
        steps = folded(shared)
        for at, step in enumerate(steps):
            await stores.writer.save(step)
            if at % 7 == 6:
                # The other one has taken the partition over from here, and writes what is written already.
                for again in steps[at - 5 : at + 1]:
                    await stores.writer.save(again)
        page = Page(None, 100)
        ids = [records[0].message.task_id for records in (alone, shared)]
        first, second = [await stores.views.candidates(account, id_, page) for id_ in ids]
        assert [without_ids(candidate) for candidate in first] == [
            without_ids(candidate) for candidate in second
        ]
        numbers = [event.number for event in await stores.views.events(account, ids[1], 0, 100)]
        assert numbers == list(range(1, 71))

    async def test_a_writer_that_died_between_segment_and_row_is_followed_by_another(
        self, stores: Stores, account: str
    ):
        records = large_task(task_named("died", account))
        task_id = records[0].message.task_id
        steps = folded(records)
        for step in steps:
            # The segments alone are written; then the next writer writes all of it.
            await stores.writer.save(BatchRows({}, step.events, step.segments))
            await stores.writer.save(step)
        (row,) = steps[-1].rows.values()
        rows = await stores.views.candidates(account, task_id, Page(None, 100))
        assert [candidate["state"] for candidate in rows] == [
            status.state.value for status in row.view.candidates.values()
        ]
