"""The funding workflow in any order: at most one end, and none of a funded task."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.domain.funding_workflow import (
    FundingState,
    decide_funding,
    due_at,
    evolve_funding,
    is_final,
)
from tests.contract.ingest.store_suite import accepted
from tests.unit.ingest.events import Tale
from winnow.contracts.decider import Tick
from winnow.contracts.envelope import Event
from winnow.contracts.events import TaskCancelled, TaskCancelRequested, TaskRejected
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.states import TRANSITIONS, TaskState, next_state

START = datetime(2026, 1, 1, tzinfo=UTC)
TALE = Tale(derive_id(Prefix.task, "one"))
EVENTS = {
    "accepted": accepted(TALE, START).message,
    "funded": TALE.funded(),
    "unfunded": TALE.unfunded(),
    "cancel": TaskCancelRequested(**TALE.ids),
    "overdue": Tick(),
}


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(sorted(EVENTS)), max_size=12).filter(
        lambda names: not {"funded", "unfunded"} <= set(names)
    )
)
def test_stages_end_a_task_at_most_once_and_never_a_funded_one(names: list[str]):
    state, ends, states, was_funded = FundingState(TALE.ids["task_id"]), [], [], False
    queue = list(names)
    while queue:
        name = queue.pop(0)
        if name == "overdue" and due_at(state) is None:
            continue
        before = state
        messages = decide_funding(state, EVENTS[name])
        assert not (messages and is_final(before)), (
            "nothing is decided about a task that is not ingest's any more"
        )
        for message in messages:
            if isinstance(message, Event):
                state = evolve_funding(state, message)
            if isinstance(message, TaskRejected | TaskCancelled):
                ends.append(message)
            if isinstance(message, TaskCancelRequested):
                queue.append("cancel")
        if name == "funded" and not is_final(before):
            was_funded = True
        states.append(state.phase)
    assert len(ends) <= 1
    assert not (was_funded and ends)
    if "accepted" in names and {"unfunded", "cancel", "overdue"} & set(names) and "funded" not in names:
        late_only = (
            set(names[: names.index("accepted")]) == {"overdue"}
            and "overdue" not in names[names.index("accepted") :]
        )
        if not late_only or {"unfunded", "cancel"} & set(names):
            assert len(ends) == 1


def test_every_end_of_ingest_is_allowed_by_the_table_from_where_it_can_come():
    for state in (TaskState.accepted, TaskState.unfunded):
        assert next_state(state, "task.cancelled") == "cancelled"
    assert next_state(TaskState.unfunded, "task.rejected") == "rejected"
    assert ("accepted", "task.cancel_requested") in TRANSITIONS


def test_due_is_the_deadline_of_an_open_task_until_it_was_noticed():
    state = FundingState(TALE.ids["task_id"])
    assert due_at(state) is None
    (opened,) = decide_funding(state, EVENTS["accepted"])
    assert isinstance(opened, Event)
    state = evolve_funding(state, opened)
    assert due_at(state) == START + timedelta(hours=1)
    (request,) = decide_funding(state, Tick())
    assert isinstance(request, TaskCancelRequested)
    assert due_at(evolve_funding(state, request)) is None
