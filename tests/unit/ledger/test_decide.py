"""The decisions of the ledger, case by case."""

from __future__ import annotations

from collections import defaultdict
from itertools import permutations

import pytest

from services.ledger.domain.records import CommandRefused, GrantRetired, LateCostBooked, VarianceBooked
from tests.unit.ledger.builders import (
    ACCOUNT,
    DAY,
    START,
    Books,
    funded,
    grant,
    grt,
    of,
    refund,
    release,
    reserve,
    rsv,
    settle,
    task,
    variance,
)
from winnow.contracts.commands import LEDGER_COMMANDS
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import EntryRecorded, TaskFunded, TaskSettled, TaskUnfunded
from winnow.contracts.money import AMOUNT_MAX
from winnow.contracts.values import EntryKind, ProviderCost, Unit


def test_grant_is_entered_once_however_often_it_comes() -> None:
    books = Books()
    assert len(of(EntryKind.grant, books.do(grant("a", 100)))) == 1
    assert books.do(grant("a", 100)) == []
    assert books.available == 100


def test_grant_id_with_other_terms_is_refused_and_the_first_stays() -> None:
    books = funded()
    (refused,) = books.do(grant("paid", 7))
    assert isinstance(refused, CommandRefused)
    assert refused.code is ErrorCode.idempotency_key_reused
    assert books.available == 1000


def test_grant_beyond_the_largest_amount_is_refused() -> None:
    books = Books()
    books.do(grant("a", AMOUNT_MAX))
    (refused,) = books.do(grant("b", 1))
    assert isinstance(refused, CommandRefused)
    assert refused.code is ErrorCode.amount_not_allowed


def test_reserve_holds_and_funds_the_task() -> None:
    books = funded()
    messages = books.do(reserve("t", 300))
    assert (books.available, books.held) == (700, 300)
    assert messages[-1] == TaskFunded(
        task_id=task("t"), account_id=ACCOUNT, reservation_id=rsv("t"), reserved_credits_micro=300
    )


@pytest.mark.parametrize(
    ("balance", "wanted", "shortfall"),
    [(0, 1, 1), (99, 100, 1), (100, 100, None), (100, 101, 1), (5, 500, 495)],
)
def test_reserve_is_refused_by_exactly_what_is_missing(
    balance: int, wanted: int, shortfall: int | None
) -> None:
    books = Books()
    if balance:
        books.do(grant("a", balance))
    answer = books.do(reserve("t", wanted))[-1]
    if shortfall is None:
        assert isinstance(answer, TaskFunded)
    else:
        assert isinstance(answer, TaskUnfunded)
        assert (answer.code, answer.shortfall_credits_micro) == (ErrorCode.insufficient_credits, shortfall)
        assert books.held == 0


def test_reserve_that_was_refused_stays_refused_after_funds_arrive() -> None:
    books = Books()
    first = books.do(reserve("t", 100))[-1]
    books.do(grant("a", 1000))
    assert books.do(reserve("t", 100)) == [first]
    assert books.held == 0


def test_refused_reservation_cannot_be_settled_later() -> None:
    books = Books()
    books.do(reserve("t", 100))
    books.do(grant("a", 1000))
    (refused,) = books.do(settle("t", 100))
    assert isinstance(refused, CommandRefused)
    assert refused.code is ErrorCode.reservation_unknown
    assert books.available == 1000


def test_reserve_whose_time_has_passed_is_refused() -> None:
    books = funded()
    answer = books.do(reserve("t", 100, expires_at=START))[-1]
    assert isinstance(answer, TaskUnfunded)
    assert answer.code is ErrorCode.deadline_exceeded


@pytest.mark.parametrize("fit", [0, 1, 7, 8])
def test_reserves_with_funds_for_some_fund_exactly_those(fit: int) -> None:
    books = Books()
    if fit:
        books.do(grant("a", fit * 100 + 99))
    answers = [books.do(reserve(index, 100))[-1] for index in range(8)]
    assert sum(isinstance(answer, TaskFunded) for answer in answers) == fit


def test_open_reservations_count_against_the_balance() -> None:
    books = Books()
    books.do(grant("a", 5000))
    answers = [books.do(reserve(index, 1000))[-1] for index in range(6)]
    assert [isinstance(answer, TaskFunded) for answer in answers] == [True] * 5 + [False]


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


def test_expired_grant_cannot_be_spent_although_it_is_not_swept() -> None:
    books = Books()
    books.do(grant("a", 100, expires_at=START + DAY))
    books.now = START + DAY
    assert books.available == 0
    messages = books.do(reserve("t", 1))
    assert len(of(EntryKind.expire_grant, messages)) == 1
    assert [message for message in messages if isinstance(message, (TaskFunded, TaskUnfunded))] == books.all(
        TaskUnfunded
    )
    assert messages[-1] == GrantRetired(grant_id=grt("a"))


def test_expiry_takes_only_from_its_own_grant() -> None:
    books = Books()
    books.do(grant("a", 100, expires_at=START + DAY))
    books.do(grant("b", 100))
    books.do(reserve("t", 70))
    books.pass_time(DAY)
    books.tick()
    assert (books.left("a"), books.left("b"), books.held) == (0, 100, 70)
    books.do(settle("t", 70))
    assert books.available == 100


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_burn_order_is_expiry_then_promo_before_paid_then_age(order: tuple[int, ...]) -> None:
    grants = [
        grant("soon", 10, expires_at=START + DAY),
        grant("promo", 10, source="promo", expires_at=START + 2 * DAY),
        grant("paid", 10, expires_at=START + 2 * DAY),
        grant("never", 10),
    ]
    books = Books()
    for index in order:
        books.do(grants[index])
    (entry,) = of(EntryKind.reserve, books.do(reserve("t", 35)))
    assert [(lot.grant_id, lot.amount_credits_micro) for lot in entry.lots] == [
        (grt("soon"), 10),
        (grt("promo"), 10),
        (grt("paid"), 10),
        (grt("never"), 5),
    ]


def test_older_grant_burns_first_among_equals() -> None:
    books = Books()
    books.do(grant("second_name", 10))
    books.do(grant("a", 10))
    (entry,) = of(EntryKind.reserve, books.do(reserve("t", 5)))
    assert [lot.grant_id for lot in entry.lots] == [grt("second_name")]


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


# The cost of an attempt that was out when its task's bill was written.


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


# What has left the state.


# Bounds of the state.
