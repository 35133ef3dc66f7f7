"""Refunds: what comes back, to which grants, for how long, and what is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.ledger.domain.account import (
    REFUNDABLE_FOR,
)
from services.ledger.domain.records import CommandRefused
from tests.unit.ledger.books import Books, funded, of, refused
from tests.unit.ledger.builders import ACCOUNT, DAY, START, grant, grt, refund, release, reserve, settle, task
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import RefundRefused
from winnow.contracts.ids import refund_entry_id
from winnow.contracts.values import EntryKind


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
