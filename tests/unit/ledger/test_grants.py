"""Grants of credits: entered once, spent in the order of expiry, promotion and age, and expired."""

from __future__ import annotations

from itertools import permutations

import pytest

from services.ledger.domain.records import CommandRefused, GrantRetired
from tests.unit.ledger.books import Books, funded, of
from tests.unit.ledger.builders import DAY, START, grant, grt, reserve, settle
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import TaskFunded, TaskUnfunded
from winnow.contracts.money import AMOUNT_MAX
from winnow.contracts.values import EntryKind


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
