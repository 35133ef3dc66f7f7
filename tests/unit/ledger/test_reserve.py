"""Reservations of credits: funded when the balance suffices, else refused by what is missing."""

from __future__ import annotations

import pytest

from services.ledger.domain.records import CommandRefused
from tests.unit.ledger.books import Books, funded
from tests.unit.ledger.builders import ACCOUNT, START, grant, reserve, rsv, settle, task
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import TaskFunded, TaskUnfunded


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
