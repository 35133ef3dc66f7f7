"""The decisions of the ledger, case by case."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from pydantic import TypeAdapter

from services.ledger.domain.account import (
    GRANTS_MAX,
    PINS_MAX,
    REFUNDABLE_FOR,
    Account,
    Grant,
    Reservation,
    Slice,
    Source,
)
from services.ledger.domain.records import CommandRefused, GrantRetired, LateCostBooked, VarianceBooked
from tests.unit.ledger.builders import (
    ACCOUNT,
    START,
    Books,
    grant,
    grt,
    refund,
    release,
    reserve,
    rsv,
    settle,
    task,
    variance,
)
from winnow.contracts.commands import LEDGER_COMMANDS, RefundCredits
from winnow.contracts.envelope import Message
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import EntryRecorded, RefundRefused, TaskFunded, TaskSettled, TaskUnfunded
from winnow.contracts.ids import refund_entry_id
from winnow.contracts.money import AMOUNT_MAX
from winnow.contracts.values import EntryKind, ProviderCost, Unit

DAY = timedelta(days=1)


def funded(*names: object, amount: int = 100, balance: int = 1000) -> Books:
    books = Books()
    books.do(grant("paid", balance))
    for name in names:
        books.do(reserve(name, amount))
    return books


def of(kind: EntryKind, messages: list[Message]) -> list[EntryRecorded]:
    return [message for message in messages if isinstance(message, EntryRecorded) and message.kind is kind]


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


def test_refunds_add_up_to_the_charge_at_most() -> None:
    books = funded("t")
    books.do(settle("t", 70))
    assert len(of(EntryKind.refund, books.do(refund("t", 40)))) == 1
    (noted, told) = books.do(refund("t", 31, number=2))
    assert isinstance(noted, CommandRefused)
    assert told == refused(
        refund("t", 31, number=2), ErrorCode.amount_not_allowed, "more than is left of the charge"
    )
    assert len(of(EntryKind.refund, books.do(refund("t", 30, number=3)))) == 1
    assert of(EntryKind.refund, books.do(refund("t", 1, number=4))) == []
    assert books.available == 1000
    assert books.account.refunded_credits_micro == 70


@pytest.mark.parametrize("before", ["nothing", "open", "released"])
def test_refund_without_a_charge_is_refused(before: str) -> None:
    books = funded(*([] if before == "nothing" else ["t"]))
    if before == "released":
        books.do(release("t"))
    available = books.available
    assert isinstance(books.do(refund("t", 1))[-1], RefundRefused)
    assert books.available == available


def test_refund_goes_back_to_the_grants_it_came_from_last_first() -> None:
    books = Books()
    books.do(grant("soon", 60, expires_at=START + 9 * DAY))
    books.do(grant("late", 100))
    books.do(reserve("t", 100))
    books.do(settle("t", 100))
    books.do(refund("t", 50))
    assert (books.left("soon"), books.left("late")) == (10, 100)
    books.do(refund("t", 50, number=2))
    assert (books.left("soon"), books.left("late")) == (60, 100)


def test_refund_to_an_expired_grant_can_be_spent_for_a_day() -> None:
    books = Books()
    books.do(grant("a", 100, source="promo", expires_at=START + DAY))
    books.do(reserve("t", 100))
    books.do(settle("t", 100))
    books.pass_time(2 * DAY)
    (entry,) = of(EntryKind.refund, books.do(refund("t", 30)))
    (grace,) = entry.lots
    assert grace.grant_id != grt("a")
    assert books.account.grants[grace.grant_id].source == "promo"
    assert books.available == 30
    books.pass_time(DAY)
    assert books.available == 0
    assert len(of(EntryKind.expire_grant, books.tick())) == 1


@pytest.mark.parametrize(("reason", "available"), [("cancelled", 0), ("deadline_exceeded", 100)])
def test_release_to_an_expired_grant_is_graced_unless_the_customer_cancelled(
    reason: str, available: int
) -> None:
    books = Books()
    books.do(grant("a", 100, expires_at=START + DAY))
    books.do(reserve("t", 100))
    books.pass_time(2 * DAY)
    messages = books.do(release("t", reason=reason))
    assert books.available == available
    assert len(of(EntryKind.expire_grant, messages)) == (available == 0)
    assert books.settled("t")[0].released_credits_micro == 100


def test_refund_is_refused_when_its_time_is_over() -> None:
    books = funded("t")
    books.do(settle("t", 70))
    books.pass_time(REFUNDABLE_FOR)
    assert len(of(EntryKind.refund, books.do(refund("t", 1)))) == 1
    books.pass_time(timedelta(microseconds=1))
    assert books.do(refund("t", 1, number=2))[-1] == refused(
        refund("t", 1, number=2), ErrorCode.deadline_exceeded, "the time for a refund is over"
    )


def test_refund_that_names_another_task_is_refused() -> None:
    books = funded("t", "other")
    books.do(settle("t", 70))
    foreign = refund("t", 10).model_copy(update={"task_id": task("other")})
    before = books.available
    assert books.do(foreign)[-1] == refused(
        foreign, ErrorCode.reservation_unknown, "the task has no charge yet"
    )
    assert books.available == before
    assert of(EntryKind.refund, [message for _, message in books.log]) == []


def test_every_refund_has_one_outcome_that_others_see() -> None:
    books = funded("t")
    books.do(settle("t", 70))
    for number, amount in enumerate((40, 40, 30, 1)):
        command = refund("t", amount, number=number)
        messages = books.do(command)
        entries = of(EntryKind.refund, messages)
        refusals = [message for message in messages if isinstance(message, RefundRefused)]
        assert len(entries) + len(refusals) == 1
        assert [entry.entry_id for entry in entries] in ([], [refund_entry_id(ACCOUNT, command.command_id)])
        assert [refusal.refund_id for refusal in refusals] in ([], [command.command_id])
    assert books.account.refunded_credits_micro == 70


def refused(command: RefundCredits, code: ErrorCode, reason: str) -> RefundRefused:
    return RefundRefused(
        refund_id=command.command_id,
        account_id=command.account_id,
        task_id=command.task_id,
        reservation_id=command.reservation_id,
        amount_credits_micro=command.amount_credits_micro,
        code=code,
        reason=reason,
    )


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


def test_a_spent_grant_leaves_the_state_and_a_refund_brings_it_back() -> None:
    books = Books()
    books.do(grant("a", 100, expires_at=START + 9 * DAY))
    books.do(reserve("t", 100))
    assert grt("a") in books.account.grants, "an open reservation may give credits back to it"
    books.do(settle("t", 100))
    assert books.account.grants == {}
    books.do(refund("t", 30))
    assert books.account.grants[grt("a")].left_credits_micro == 30
    assert books.available == 30
    books.do(reserve("again", 30))
    books.do(release("again"))
    assert books.available == 30


def test_a_grant_that_has_left_the_state_is_known_by_its_id() -> None:
    books = Books()
    books.do(grant("a", 100))
    books.do(reserve("t", 100))
    books.do(settle("t", 100))
    assert books.account.grants == {}
    assert books.do(grant("a", 100)) == []
    (noted,) = books.do(grant("a", 7))
    assert isinstance(noted, CommandRefused)
    assert books.available == 0


def test_an_ended_reservation_leaves_the_state_and_its_id_stays_taken() -> None:
    books = funded("t")
    books.do(settle("t", 70))
    assert books.account.open == {}
    (noted,) = books.do(reserve("t", 10))
    assert isinstance(noted, CommandRefused)
    assert noted.code is ErrorCode.reservation_already_resolved


def test_a_second_refund_after_the_grace_of_its_grant_does_not_lengthen_it_again() -> None:
    books = Books()
    books.do(grant("a", 100, expires_at=START + DAY))
    for name in "xy":
        books.do(reserve(name, 50))
        books.do(settle(name, 50))
    books.pass_time(2 * DAY)
    books.do(refund("x", 50))
    assert books.available == 50
    books.pass_time(DAY)
    messages = books.do(refund("y", 50))
    assert len(of(EntryKind.refund, messages)) == 1
    # It is booked, and what comes back to a grant whose one grace is over has expired.
    assert [entry.amount_credits_micro for entry in of(EntryKind.expire_grant, messages)] == [50, 50]
    assert books.available == 0


def test_what_comes_back_while_a_grace_lasts_joins_it() -> None:
    books = Books()
    books.do(grant("a", 100, expires_at=START + DAY))
    for name in "xy":
        books.do(reserve(name, 50))
        books.do(settle(name, 50))
    books.pass_time(2 * DAY)
    books.do(refund("x", 50))
    books.do(reserve("z", 50))
    books.pass_time(DAY / 2)
    books.do(refund("y", 50))
    (grace,) = books.account.grants.values()
    assert (grace.left_credits_micro, grace.held_credits_micro, grace.granted_credits_micro) == (50, 50, 100)
    assert grace.expires_at == START + 3 * DAY
    books.pass_time(DAY)
    # A grace has none of its own.
    books.do(release("z"))
    assert books.available == 0


# Bounds of the state.


def test_parts_of_grants_that_are_pinned_at_once_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ledger.domain.decide.PINS_MAX", 3)
    books = Books()
    books.do(grant("a", 10))
    books.do(grant("b", 1000))
    books.do(reserve("two", 20))
    books.do(reserve("one", 20))
    told = books.do(reserve("more", 20))[-1]
    assert isinstance(told, TaskUnfunded)
    assert (told.code, told.shortfall_credits_micro) == (ErrorCode.out_of_bounds, 0)
    books.do(release("one"))
    assert any(isinstance(message, TaskFunded) for message in books.do(reserve("later", 20)))


def test_grants_at_once_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("decide", "reservation_end"):
        monkeypatch.setattr(f"services.ledger.domain.{module}.GRANTS_MAX", 2)
    books = Books()
    books.do(grant("spent", 10))
    books.do(reserve("t", 10))
    books.do(settle("t", 10))
    books.do(grant("a", 10))
    books.do(grant("b", 10))
    noted = books.do(grant("c", 10))
    assert [message.code for message in noted if isinstance(message, CommandRefused)] == [
        ErrorCode.out_of_bounds
    ]
    assert books.do(refund("t", 5))[-1] == refused(
        refund("t", 5), ErrorCode.out_of_bounds, "the account has too many grants"
    )


def test_an_account_at_its_bounds_is_far_below_what_a_document_may_have() -> None:
    far = datetime(2026, 11, 21, 7, 15, 19, 219099, tzinfo=UTC)
    grants = {
        grt(number): Grant(
            grt(number), Source.rollover, AMOUNT_MAX, AMOUNT_MAX, far, number, AMOUNT_MAX, grt("x"), grt("y")
        )
        for number in range(2 * GRANTS_MAX)
    }
    holds = {
        rsv(number): Reservation(
            rsv(number), task(number), AMOUNT_MAX, far, (Slice(grt(number), AMOUNT_MAX),)
        )
        for number in range(PINS_MAX)
    }
    account = Account(ACCOUNT, grants, holds)
    size = len(TypeAdapter(Account).dump_json(account))
    assert size < 8 * 2**20, size
