"""Settlements: a part is charged, the rest is released, and nothing is charged twice."""

from __future__ import annotations

import pytest

from services.ledger.domain.records import CommandRefused, LateCostBooked
from tests.unit.ledger.books import Books, funded, of
from tests.unit.ledger.builders import ACCOUNT, DAY, START, grant, release, reserve, settle, task
from winnow.contracts.errors import ErrorCode
from winnow.contracts.values import EntryKind, ProviderCost, Unit


def test_settle_charges_a_part_and_releases_the_rest_in_one_entry() -> None:
    books = funded("t")
    messages = books.do(settle("t", 70, cost=ProviderCost(expected_usd_micro=9, actual_usd_micro=11)))
    (entry,) = of(EntryKind.settle, messages)
    assert {(posting.account, posting.amount_micro, posting.unit) for posting in entry.postings} == {
        (f"customer:{ACCOUNT}:held", -100, Unit.credits_micro),
        (f"customer:{ACCOUNT}:available", 30, Unit.credits_micro),
        ("house:revenue", 70, Unit.credits_micro),
        ("house:provider_cost", 9, Unit.usd_micro),
        ("house:provider_cost_variance", 2, Unit.usd_micro),
        ("house:provider_payable", -11, Unit.usd_micro),
    }
    (bill,) = books.settled("t")
    assert (bill.reserved_credits_micro, bill.settled_credits_micro, bill.released_credits_micro) == (
        100,
        70,
        30,
    )
    assert (books.available, books.held) == (930, 0)


@pytest.mark.parametrize(("charge", "available"), [(0, 1000), (100, 900)])
def test_settle_of_nothing_returns_all_and_of_all_leaves_nothing(charge: int, available: int) -> None:
    books = funded("t")
    books.do(settle("t", charge))
    assert (books.available, books.held) == (available, 0)


def test_settle_over_the_reservation_is_capped_and_says_so() -> None:
    books = funded("t")
    (entry,) = of(EntryKind.settle, books.do(settle("t", 170)))
    assert (entry.amount_credits_micro, entry.reason) == (100, "delivered, capped_at_held")
    assert books.available == 900


def test_settle_never_charges_for_what_was_not_delivered() -> None:
    books = funded("t")
    (entry,) = of(EntryKind.settle, books.do(settle("t", 100, delivered=3)))
    assert (entry.amount_credits_micro, entry.reason) == (30, "delivered, capped_at_delivered")
    assert books.available == 970


def test_settle_of_another_tasks_reservation_changes_nothing() -> None:
    books = funded("t")
    foreign = settle("t", 70).model_copy(update={"task_id": task("other")})
    (refused,) = books.do(foreign)
    assert isinstance(refused, CommandRefused)
    assert books.held == 100


def test_settle_twice_charges_once() -> None:
    books = funded("t")
    books.do(settle("t", 70))
    (refused,) = books.do(settle("t", 100, by="operator"))
    assert isinstance(refused, CommandRefused)
    assert refused.code is ErrorCode.reservation_already_resolved
    assert len(books.settled("t")) == 1
    assert books.available == 930


def test_reservation_that_is_overdue_but_still_open_is_settled() -> None:
    books = Books()
    books.do(grant("a", 100))
    books.do(reserve("t", 100, expires_at=START + DAY))
    books.pass_time(2 * DAY)
    books.do(settle("t", 70))
    assert books.tick() == []
    assert books.available == 30


def test_settle_after_expiry_books_the_cost_once_and_charges_nothing() -> None:
    books = Books()
    books.do(grant("a", 100))
    books.do(reserve("t", 100, expires_at=START + DAY))
    books.pass_time(DAY)
    books.tick()
    late = books.do(settle("t", 70, cost=ProviderCost(expected_usd_micro=5, actual_usd_micro=5)))
    assert isinstance(late[0], LateCostBooked)
    assert late[0].absorbed_credits_micro == 70
    (entry,) = of(EntryKind.settle, late)
    assert {posting.unit for posting in entry.postings} == {Unit.usd_micro}
    assert books.available == 100
    assert len(books.settled("t")) == 1
    (again,) = books.do(release("t"))
    assert isinstance(again, CommandRefused)
