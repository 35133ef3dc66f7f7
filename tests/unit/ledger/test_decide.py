"""Ends of a reservation by release and expiry, bills, and costs that vary."""

from __future__ import annotations

from collections import defaultdict
from itertools import permutations

import pytest

from services.ledger.domain.records import VarianceBooked
from tests.unit.ledger.books import Books, funded, of
from tests.unit.ledger.builders import DAY, START, grant, refund, release, reserve, settle, task, variance
from winnow.contracts.commands import LEDGER_COMMANDS
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import EntryRecorded, TaskSettled, TaskUnfunded
from winnow.contracts.money import AMOUNT_MAX
from winnow.contracts.values import EntryKind, ProviderCost, Unit


@pytest.mark.parametrize("order", list(permutations(["settle", "release", "expire", "operator"])))
def test_reservation_ends_once_in_every_order_of_enders(order: tuple[str, ...]) -> None:
    books = funded("t", "other")
    for ender in order:
        if ender == "expire":
            books.now = START + 21 * DAY
            books.tick()
        elif ender == "settle":
            books.do(settle("t", 70))
        else:
            books.do(release("t", by=ender))
    (bill,) = books.settled("t")
    charged = 70 if order[0] == "settle" else 0
    assert bill.settled_credits_micro == charged
    assert bill.released_credits_micro == 100 - charged
    books.do(release("other"))
    assert (books.available, books.held) == (1000 - charged, 0)
    assert sum(event.kind is EntryKind.reserve for event in books.all(EntryRecorded)) == 2


def test_release_returns_the_slices_to_their_own_grants() -> None:
    books = Books()
    books.do(grant("soon", 60, expires_at=START + 9 * DAY))
    books.do(grant("late", 100))
    books.do(reserve("t", 100))
    books.do(grant("sooner", 500, expires_at=START + DAY))
    books.do(release("t"))
    assert (books.left("soon"), books.left("late"), books.left("sooner")) == (60, 100, 500)


def test_release_before_its_reserve_burns_the_id() -> None:
    books = funded()
    assert books.do(release("t")) != []
    answer = books.do(reserve("t", 100))[-1]
    assert isinstance(answer, TaskUnfunded)
    assert answer.code is ErrorCode.reservation_already_resolved
    assert books.held == 0
    assert books.do(release("t", by="other")) == []


def test_expiry_ends_the_reservation_with_a_bill() -> None:
    books = Books()
    books.do(grant("a", 100))
    books.do(reserve("t", 100, expires_at=START + DAY))
    books.pass_time(DAY)
    (entry,) = of(EntryKind.expire_reservation, books.tick())
    assert entry.amount_credits_micro == 100
    (bill,) = books.settled("t")
    assert (bill.settled_credits_micro, bill.reason) == (0, "expired")
    assert books.available == 100


def test_command_about_another_account_is_a_fault() -> None:
    with pytest.raises(ValueError, match="another account"):
        Books().do(grant("a", 1).model_copy(update={"account_id": "acct_other"}))


@pytest.mark.parametrize("amount", [-1, 1.0, True, "5", float("nan"), AMOUNT_MAX + 1])
def test_amounts_that_are_not_whole_micro_units_are_refused_at_the_edge(amount: object) -> None:
    checked = 0
    for make in (grant("a", 1), reserve("t", 1), settle("t", 1), refund("t", 1)):
        with pytest.raises(ValueError, match="amount_credits_micro"):
            type(make).model_validate({**make.model_dump(), "amount_credits_micro": amount})
        checked += 1
    # A release and a cost variance move no credits that they name.
    assert checked == len(LEDGER_COMMANDS) - 2


def test_bill_adds_up_for_every_end() -> None:
    books = funded("a", "b", "c")
    books.do(settle("a", 30))
    books.do(release("b"))
    books.now = START + 20 * DAY
    books.tick()
    bills = books.all(TaskSettled)
    assert len(bills) == 3
    for bill in bills:
        assert bill.reserved_credits_micro == bill.settled_credits_micro + bill.released_credits_micro


@pytest.mark.parametrize("settles_first", [True, False])
def test_a_cost_variance_makes_the_books_owe_what_the_attempt_cost(settles_first: bool) -> None:
    books = funded("t")
    bill = settle("t", 70, cost=ProviderCost(expected_usd_micro=50, actual_usd_micro=48, attempts_count=2))
    commands = [bill, variance("late", 20, 31)]
    for command in commands if settles_first else commands[::-1]:
        books.do(command)
    assert house(books) == {
        "house:provider_cost": 50,
        "house:provider_cost_variance": -2 + 11,
        "house:provider_payable": -(48 + 11),
    }
    (entry,) = of(EntryKind.cost_variance, [message for _, message in books.log])
    assert (entry.amount_credits_micro, entry.task_id, entry.lots) == (0, task("t"), [])
    assert books.all(VarianceBooked) == [
        VarianceBooked(attempt_id=variance("late", 20, 31).attempt_id, variance_usd_micro=11)
    ]


def test_a_cost_variance_of_nothing_writes_nothing() -> None:
    assert funded("t").do(variance("late", 20, 20)) == []


def house(books: Books) -> dict[str, int]:
    sums: dict[str, int] = defaultdict(int)
    for entry in books.all(EntryRecorded):
        for posting in entry.postings:
            if posting.unit is Unit.usd_micro:
                sums[posting.account] += posting.amount_micro
    return dict(sums)
