"""An account under test: commands with short names, and the laws that hold after every one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter

from services.ledger.domain.account import Account
from services.ledger.domain.books import available_of, held_of
from services.ledger.domain.decide import TimePassed, decide
from services.ledger.domain.evolve import evolve
from winnow.contracts.commands import (
    GrantCredits,
    LedgerCommand,
    RefundCredits,
    ReleaseCredits,
    ReserveCredits,
    SettleCredits,
)
from winnow.contracts.envelope import Event, Message
from winnow.contracts.events import EntryRecorded, TaskSettled
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.values import EntryKind, ProviderCost, Unit

ACCOUNT = "acct_one"
START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
STATE = TypeAdapter(Account)


def cost(actual: int = 0, expected: int | None = None) -> ProviderCost:
    return ProviderCost(
        expected_usd_micro=actual if expected is None else expected,
        actual_usd_micro=actual,
        attempts_count=1 if actual else 0,
    )


def grant(
    name: str,
    amount: int,
    *,
    source: str = "topup",
    expires_at: datetime | None = None,
    account: str = ACCOUNT,
) -> GrantCredits:
    return GrantCredits(
        command_id=derive_id(Prefix.command, "grant", name),
        account_id=account,
        grant_id=grant_id(name),
        amount_credits_micro=amount,
        source=source,
        expires_at=expires_at,
    )


def reserve(
    name: str, amount: int, *, price: int = 10, expires_at: datetime = START + 365 * DAY
) -> ReserveCredits:
    return ReserveCredits(
        command_id=derive_id(Prefix.command, "reserve", name),
        account_id=ACCOUNT,
        reservation_id=reservation_id(name),
        task_id=task_id(name),
        amount_credits_micro=amount,
        price_per_output_credits_micro=price,
        expires_at=expires_at,
    )


def settle(
    name: str, amount: int, *, delivered: int = 1000, usd: int = 0, reason: str = "delivered"
) -> SettleCredits:
    return SettleCredits(
        command_id=derive_id(Prefix.command, "settle", name, amount, delivered),
        account_id=ACCOUNT,
        reservation_id=reservation_id(name),
        task_id=task_id(name),
        amount_credits_micro=amount,
        delivered_count=delivered,
        cost=cost(usd),
        reason=reason,
    )


def release(name: str, *, usd: int = 0, reason: str = "failed") -> ReleaseCredits:
    return ReleaseCredits(
        command_id=derive_id(Prefix.command, "release", name, reason),
        account_id=ACCOUNT,
        reservation_id=reservation_id(name),
        task_id=task_id(name),
        cost=cost(usd),
        reason=reason,
    )


def refund(name: str, amount: int, number: int = 1) -> RefundCredits:
    return RefundCredits(
        command_id=derive_id(Prefix.command, "refund", name, amount, number),
        account_id=ACCOUNT,
        reservation_id=reservation_id(name),
        task_id=task_id(name),
        amount_credits_micro=amount,
        reason="complaint",
    )


def grant_id(name: str) -> str:
    return derive_id(Prefix.grant, name)


def reservation_id(name: str) -> str:
    return derive_id(Prefix.reservation, name)


def task_id(name: str) -> str:
    return derive_id(Prefix.task, name)


@dataclass
class Books:
    """Decides, folds, keeps the record, and checks every law of the books after each decision."""

    now: datetime = START
    account: Account = field(default_factory=lambda: Account(ACCOUNT))
    record: list[Message] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)

    def take(self, message: LedgerCommand | TimePassed) -> list[Message]:
        said = list(decide(self.account, message, self.now))
        for one in said:
            assert isinstance(one, Event)
            self.account = evolve(self.account, one, self.now)
            self.record.append(one)
            self.times.append(self.now)
        self.check()
        return said

    def tick(self, now: datetime | None = None) -> list[Message]:
        self.now = now or self.now
        return self.take(TimePassed())

    def entries(self) -> list[EntryRecorded]:
        return [one for one in self.record if isinstance(one, EntryRecorded)]

    def check(self) -> None:
        account = self.account
        left, held = account.left_credits_micro, account.held_credits_micro
        assert account.granted_credits_micro + account.refunded_credits_micro == (
            left + held + account.settled_credits_micro + account.expired_credits_micro
        )
        assert min(left, held, account.settled_credits_micro - account.refunded_credits_micro) >= 0
        assert all(
            0 <= one.left_credits_micro <= one.granted_credits_micro for one in account.grants.values()
        )
        assert not set(account.open) & set(account.ended)
        check_entries(self.entries(), left, held)
        ends = [one.reservation_id for one in self.record if isinstance(one, TaskSettled)]
        assert len(ends) == len(set(ends))

    def check_refold(self) -> None:
        """The record alone gives the same account, also through the form in which states are kept."""
        account = Account(ACCOUNT)
        for event, at in zip(self.record, self.times, strict=True):
            assert isinstance(event, Event)
            account = evolve(account, type(event).model_validate(event.body()), at)
            account = STATE.validate_json(STATE.dump_json(account))
        assert account == self.account


def check_entries(entries: Sequence[EntryRecorded], left: int, held: int) -> None:
    """Every entry balances, names a balance that its postings lead to, and is there once."""
    available_sum = held_sum = 0
    for entry in entries:
        for unit in Unit:
            assert sum(one.amount_micro for one in entry.postings if one.unit is unit) == 0
        for one in entry.postings:
            assert one.amount_micro != 0
            available_sum += one.amount_micro if one.account == available_of(ACCOUNT) else 0
            held_sum += one.amount_micro if one.account == held_of(ACCOUNT) else 0
        assert (available_sum, held_sum) == (entry.available_credits_micro, entry.held_credits_micro)
        assert min(available_sum, held_sum) >= 0
    assert (available_sum, held_sum) == (left, held)
    ids = [one.entry_id for one in entries]
    assert len(ids) == len(set(ids))


def of_kind(messages: Sequence[Message], kind: EntryKind) -> list[EntryRecorded]:
    return [one for one in messages if isinstance(one, EntryRecorded) and one.kind is kind]
