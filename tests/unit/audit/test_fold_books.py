"""The fold and the books: balances, bills, postings, and numbers that are given twice."""

from __future__ import annotations

import pytest

from tests.unit.audit.record_builders import AVAILABLE, HELD, PRICE, checks, edited, entry, said, story
from winnow.audit.books import AUDITED
from winnow.contracts.envelope import RecordedMessage
from winnow.contracts.events import EntryRecorded, TaskFunded, TaskSettled
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.values import EntryKind


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
