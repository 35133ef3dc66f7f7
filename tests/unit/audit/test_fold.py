"""The audit's folds find every fault they are there for, and none in a sound record."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.audit.chain_builders import PROFILES, SHA256, raw_of
from tests.unit.audit.record_builders import (
    ACCOUNT,
    AVAILABLE,
    BAD,
    DEADLINE,
    GOOD,
    HELD,
    NOW,
    PRICE,
    PROFILE,
    SLACK_S,
    TASK,
    checks,
    edited,
    entry,
    folded,
    story,
)
from winnow.audit.books import AUDITED
from winnow.audit.fold import RecordFold
from winnow.contracts.envelope import Message, RecordedMessage
from winnow.contracts.events import (
    CandidatesScored,
    EntryRecorded,
    TaskAccepted,
    TaskCancelled,
    TaskDelivered,
    TaskFunded,
    TaskSelected,
    TaskSettled,
)
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.states import TaskState
from winnow.contracts.values import (
    EntryKind,
)


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


def said(records: list[RecordedMessage[Message]]) -> dict[str, str]:
    return {finding.check: finding.text for finding in folded(records).findings(NOW)}


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


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"profile": PROFILE.model_copy(update={"name": "product"})}, {"profile", "gate"}),
        ({"profile": PROFILE.model_copy(update={"version": 2})}, {"profile", "gate"}),
        ({"profile_sha256": "1" * 64}, {"profile not at hand"}),
    ],
)
def test_a_verdict_of_another_profile_than_the_order_pins_is_found(
    changes: dict[str, Any], found: set[str]
) -> None:
    tasks, accounts = story()
    assert checks([*edited(tasks, CandidatesScored, **changes), *accounts]) == found


def test_a_verdict_under_the_hash_of_another_profile_is_found() -> None:
    tasks, accounts = story()
    other = replace(PROFILES[SHA256], ref=PROFILE.model_copy(update={"version": 2}))
    fold = RecordFold({SHA256: other})
    for task in [*tasks, *accounts]:
        fold.take(task)
    assert {finding.check for finding in fold.findings(NOW)} == {"profile", "gate"}


def test_a_profile_that_is_not_at_hand_is_named_with_what_is() -> None:
    tasks, accounts = story()
    text = said([*edited(tasks, CandidatesScored, profile_sha256="1" * 64), *accounts]).get(
        "profile not at hand"
    )
    assert text == (
        "2 verdicts name headshot@1 with sha256 111111111111, which is not at hand; at hand it has the sha256"
        " 000000000000: give --profiles DIR with its file"
    )


def test_a_selection_under_another_profile_is_found() -> None:
    tasks, accounts = story()
    other = PROFILE.model_copy(update={"version": 2})
    assert checks([*edited(tasks, TaskSelected, profile=other), *accounts]) == {"profile"}


def test_an_output_whose_raw_values_do_not_pass_is_found_at_the_gate() -> None:
    tasks, accounts = story()
    scored = tasks[3].message
    assert isinstance(scored, CandidatesScored)
    forged = [
        candidate.model_copy(
            update={
                "dimensions": [candidate.dimensions[0].model_copy(update={"raw": raw_of(10), "threshold": 0})]
            }
        )
        for candidate in scored.candidates
    ]
    found = checks([*edited(tasks, CandidatesScored, candidates=forged), *accounts])
    assert found == {"verdict", "gate"}


def test_a_balance_below_zero_is_found_although_its_postings_agree() -> None:
    tasks, accounts = story()
    most = entry(EntryKind.reserve, 1100, {AVAILABLE: -1100, HELD: 1100}, (0, 0))
    below = {"available_credits_micro": -100, "held_credits_micro": 1100}
    document = RecordedMessage(accounts[1].envelope, most).to_document() | below
    accounts[1] = RecordedMessage.from_document(document, AUDITED.models["entry.recorded"])
    last = accounts[2].message.model_copy(
        update={"available_credits_micro": -100, "held_credits_micro": 1000}
    )
    accounts[2] = RecordedMessage(accounts[2].envelope, last)
    found = said([*tasks, *accounts])
    assert "available is -100" in found.get("never below zero", "")
    assert "balance" not in found


def test_a_delivery_of_what_did_not_pass_is_found() -> None:
    tasks, accounts = story()
    delivered = tasks[5].message
    assert isinstance(delivered, TaskDelivered)
    outputs = [delivered.outputs[0].model_copy(update={"candidate_id": BAD})]
    assert checks([*edited(tasks, TaskDelivered, outputs=outputs), *accounts]) == {"gate"}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"released_credits_micro": 1}, {"money"}),
        ({"settled_credits_micro": PRICE + 1}, {"money", "bill and books"}),
        ({"delivered_count": 2}, {"money"}),
        ({"reserved_credits_micro": 50, "settled_credits_micro": 50}, {"bill and books"}),
    ],
)
def test_a_wrong_bill_is_found(changes: dict[str, int], found: set[str]) -> None:
    tasks, accounts = story()
    assert checks([*edited(tasks, TaskSettled, **changes), *accounts]) == found


def test_postings_that_do_not_sum_to_zero_are_found() -> None:
    tasks, accounts = story()
    first = accounts[0].message
    assert isinstance(first, EntryRecorded)
    accounts[0] = RecordedMessage(
        accounts[0].envelope, first.model_copy(update={"postings": first.postings[1:]})
    )
    assert checks([*tasks, *accounts]) == {"double entry"}


def test_a_balance_that_the_postings_do_not_give_is_found() -> None:
    tasks, accounts = story()
    last = accounts[2].message
    accounts[2] = RecordedMessage(
        accounts[2].envelope, last.model_copy(update={"available_credits_micro": 901})
    )
    assert checks([*tasks, *accounts]) == {"balance"}


def test_one_event_id_with_two_contents_is_found() -> None:
    tasks, accounts = story()
    other = edited([tasks[1]], TaskFunded, reserved_credits_micro=7)
    assert checks([*tasks, *other, *accounts]) == {"one event, one content"}


def test_one_number_given_twice_is_found() -> None:
    tasks, accounts = story()
    envelope = tasks[2].envelope.model_copy(update={"sequence": 2, "event_id": derive_id(Prefix.event, "x")})
    assert "sequences" in checks([*tasks, RecordedMessage(envelope, tasks[2].message), *accounts])


def test_events_of_another_account_about_a_task_are_found() -> None:
    tasks, accounts = story()
    assert "walls" in checks([*edited(tasks, TaskFunded, account_id="acct_b"), *accounts])
