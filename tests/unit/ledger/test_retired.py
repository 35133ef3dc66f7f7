"""The state of an account stays small: what leaves it, what is still known, and how much there may be."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter

from services.ledger.domain.account import (
    GRANTS_MAX,
    PINS_MAX,
    Account,
    Grant,
    Reservation,
    Slice,
    Source,
)
from services.ledger.domain.records import CommandRefused
from tests.unit.ledger.books import Books, funded, of, refused
from tests.unit.ledger.builders import (
    ACCOUNT,
    DAY,
    START,
    grant,
    grt,
    refund,
    release,
    reserve,
    rsv,
    settle,
    task,
)
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import TaskFunded, TaskUnfunded
from winnow.contracts.money import AMOUNT_MAX
from winnow.contracts.values import EntryKind


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
