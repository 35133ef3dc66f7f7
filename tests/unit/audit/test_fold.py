"""The fold of a record: none in a sound record, every lost event and every late or second end in another."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.audit.record_builders import (
    ACCOUNT,
    DEADLINE,
    GOOD,
    NOW,
    SLACK_S,
    TASK,
    checks,
    edited,
    folded,
    said,
    story,
)
from winnow.contracts.envelope import Message, RecordedMessage
from winnow.contracts.events import TaskAccepted, TaskCancelled, TaskDelivered
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.states import TaskState


def test_a_sound_record_has_no_fault_and_folds_into_what_happened() -> None:
    tasks, accounts = story()
    fold = folded([*tasks, *accounts])
    assert fold.findings(NOW) == []
    task = fold.tasks[TASK]
    assert (task.state, task.verdicts.passed, task.delivered) == (TaskState.delivered, {GOOD: 90}, {GOOD})
    account = fold.books().balances[ACCOUNT]
    assert (account.available_credits_micro, account.held_credits_micro) == (900, 0)


@settings(deadline=None)
@given(data=st.data())
def test_repeats_and_the_order_between_topics_change_nothing(data: st.DataObject) -> None:
    tasks, accounts = story()
    lanes = [list(tasks), list(accounts)]
    mixed: list[RecordedMessage[Message]] = []
    while any(lanes):
        lane = data.draw(st.sampled_from([choice for choice in lanes if choice]))
        mixed.append(lane.pop(0))
        if data.draw(st.booleans()):
            mixed.append(data.draw(st.sampled_from(mixed)))
    fold, plain = folded(mixed), folded([*tasks, *accounts])
    assert fold.findings(NOW) == []
    assert fold.tasks == plain.tasks
    assert fold.entries == plain.entries
    assert fold.events_count == plain.events_count
    assert fold.repeats_count == len(mixed) - plain.events_count


def test_the_answer_of_the_ledger_may_lie_before_the_acceptance() -> None:
    tasks, accounts = story()
    tasks[0], tasks[1] = tasks[1], tasks[0]
    assert checks([*tasks, *accounts]) == set()


@pytest.mark.parametrize("index", range(10))
def test_any_lost_event_with_a_successor_is_found(index: int) -> None:
    tasks, accounts = story()
    records = [*tasks, *accounts]
    lost = records.pop(index)
    # Of a producer's last event nothing later tells; the live comparison finds its loss.
    last = {"task.delivered", "task.settled", "candidates.scored"}
    found = checks(records)
    if lost.message.type in last:
        assert "sequences" not in found
    else:
        assert found & {"sequences", "state machine", "balance", "never below zero"}


def test_a_second_end_is_found() -> None:
    tasks, accounts = story()
    cancelled = TaskCancelled(task_id=TASK, account_id=ACCOUNT, stage="router", released_credits_micro=0)
    envelope = tasks[-1].envelope.model_copy(
        update={
            "event_id": derive_id(Prefix.event, "second"),
            "producer": "router",
            "subject": TASK,
            "sequence": 3,
        }
    )
    assert checks([*tasks, RecordedMessage(envelope, cancelled), *accounts]) >= {"one end", "state machine"}


def test_a_task_without_an_end_is_a_fault_only_after_its_deadline_and_slack() -> None:
    tasks, accounts = story()
    due = DEADLINE + timedelta(seconds=SLACK_S)
    assert checks([*tasks[:3], *accounts[:2]], due) == set()
    assert checks([*tasks[:3], *accounts[:2]], due + timedelta(seconds=1)) == {"one end"}


def at(
    records: list[RecordedMessage[Message]], kind: type[Message], moment: datetime
) -> list[RecordedMessage[Message]]:
    return [
        RecordedMessage(record.envelope.model_copy(update={"occurred_at": moment}), record.message)
        if isinstance(record.message, kind)
        else record
        for record in records
    ]


def test_an_end_is_late_only_after_deadline_and_slack() -> None:
    tasks, accounts = story()
    due = DEADLINE + timedelta(seconds=SLACK_S)
    assert said([*at(tasks, TaskDelivered, due), *accounts]) == {}
    late = at(tasks, TaskDelivered, DEADLINE + timedelta(hours=9))
    text = "task.delivered came 32400 s after its deadline, the slack is 60 s"
    assert said([*late, *accounts]) == {"deadline": text}
    assert "deadline" in said([*at(tasks, TaskDelivered, due + timedelta(microseconds=1)), *accounts])


def test_an_end_of_an_order_without_slack_is_judged_by_the_hour_that_finishing_had() -> None:
    tasks, accounts = story()
    old = edited(tasks, TaskAccepted, deadline_slack_s=None)
    for late_s, found in ((3660, set()), (3661, {"deadline"})):
        ended = at(old, TaskDelivered, DEADLINE + timedelta(seconds=late_s))
        assert checks([*ended, *accounts]) == found
    assert "its order names none" in said([*at(old, TaskDelivered, NOW + timedelta(hours=9)), *accounts]).get(
        "deadline", ""
    )
