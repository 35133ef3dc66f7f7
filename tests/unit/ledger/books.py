"""The books of one account, to try commands on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from pydantic import TypeAdapter

from services.ledger.domain import retired
from services.ledger.domain.account import Account, Retired
from services.ledger.domain.decide import decide
from services.ledger.domain.evolve import evolve
from services.ledger.domain.retired import RETIRED_RULES
from tests.unit.ledger.builders import ACCOUNT, START, grant, grt, reserve, rsv
from winnow.contracts.chart_of_accounts import available_of, held_of
from winnow.contracts.commands import LedgerCommand, RefundCredits
from winnow.contracts.decider import Tick
from winnow.contracts.envelope import Event, Message
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import EntryRecorded, RefundRefused, TaskSettled
from winnow.contracts.values import EntryKind, Unit
from winnow.eventstore.entities import Entities

EventT = TypeVar("EventT", bound=Event)
_STATE: TypeAdapter[Account] = TypeAdapter(Account)
_RETIRED: TypeAdapter[dict[str, Retired]] = TypeAdapter(dict[str, Retired])
_ENTITIES: Entities[Account, Retired] = Entities(RETIRED_RULES)


class Books:
    """One account: takes commands, keeps every message, and checks the books after each decision."""

    def __init__(self) -> None:
        self.account = Account(ACCOUNT)
        self.retired: dict[str, Retired] = {}
        self.now = START
        self.log: list[tuple[datetime, Message]] = []

    def do(self, command: LedgerCommand) -> list[Message]:
        found = _ENTITIES.gather(self.account, command, self.retired.get)
        return self._take(decide(self.account, command, self.now, found))

    def tick(self) -> list[Message]:
        return self._take(decide(self.account, Tick(), self.now, {}))

    def pass_time(self, by: timedelta) -> None:
        """Let time pass without a tick."""
        self.now += by

    def all(self, kind: type[EventT]) -> list[EventT]:
        return [message for _, message in self.log if isinstance(message, kind)]

    def settled(self, name: object) -> list[TaskSettled]:
        return [event for event in self.all(TaskSettled) if event.reservation_id == rsv(name)]

    def left(self, name: object) -> int:
        grant = self.account.grants.get(grt(name)) or self.retired[grt(name)].grant
        assert grant is not None
        return grant.left_credits_micro

    @property
    def available(self) -> int:
        return self.account.available_credits_micro(self.now)

    @property
    def held(self) -> int:
        return self.account.held_credits_micro

    def _take(self, messages: Sequence[Message]) -> list[Message]:
        for message in messages:
            assert isinstance(message, Event)
            changed = retired.changed(self.account, message, self.now, self.retired.get)
            self.account = evolve(self.account, message, self.now)
            self.retired |= changed
            self.log.append((self.now, message))
        self.check()
        return list(messages)

    def check(self) -> None:
        """Check what always holds: conservation, no balance below zero, postings equal to the fold."""
        account = self.account
        for granted in account.grants.values():
            left, held = granted.left_credits_micro, granted.held_credits_micro
            assert min(left, held) >= 0
            assert left + held <= granted.granted_credits_micro
        assert (
            sum(open_grant.held_credits_micro for open_grant in account.grants.values())
            == account.held_credits_micro
        )
        assert sum(len(reservation.slices) for reservation in account.open.values()) == account.pins_count
        assert all(ended.grant.left_credits_micro == 0 for ended in self.retired.values() if ended.grant)
        assert account.granted_credits_micro + account.refunded_credits_micro == (
            account.left_credits_micro
            + account.held_credits_micro
            + account.settled_credits_micro
            + account.expired_credits_micro
        )
        assert account.held_credits_micro == sum(
            part.amount_credits_micro for reservation in account.open.values() for part in reservation.slices
        )
        check_postings(self.all(EntryRecorded))
        assert balance_of(self.all(EntryRecorded)) == (account.left_credits_micro, account.held_credits_micro)
        assert account.left_credits_micro == account.available_credits_micro(self.now)
        folded, entities = Account(ACCOUNT), dict[str, Retired]()
        for at, message in self.log:
            assert isinstance(message, Event)
            entities |= retired.changed(folded, message, at, entities.get)
            folded = evolve(folded, message, at)
        assert (folded, entities) == (account, self.retired)
        assert _RETIRED.validate_json(_RETIRED.dump_json(entities)) == entities
        assert _STATE.validate_json(_STATE.dump_json(account)) == account


def check_postings(entries: Sequence[EntryRecorded]) -> None:
    """Check each entry by itself, and the balance it states, from the postings alone."""
    available = held = 0
    assert len({booked.entry_id for booked in entries}) == len(entries)
    for entry in entries:
        for unit in Unit:
            assert sum(posting.amount_micro for posting in entry.postings if posting.unit is unit) == 0
        available += _moved(entry, available_of(ACCOUNT))
        held += _moved(entry, held_of(ACCOUNT))
        assert (available, held) == (entry.available_credits_micro, entry.held_credits_micro)
        assert available >= 0
        assert held >= 0


def balance_of(entries: Sequence[EntryRecorded]) -> tuple[int, int]:
    """Return available and held as the postings tell them."""
    return (
        sum(_moved(entry, available_of(ACCOUNT)) for entry in entries),
        sum(_moved(entry, held_of(ACCOUNT)) for entry in entries),
    )


def _moved(entry: EntryRecorded, account: str) -> int:
    return sum(posting.amount_micro for posting in entry.postings if posting.account == account)


def funded(*names: object, amount: int = 100, balance: int = 1000) -> Books:
    books = Books()
    books.do(grant("paid", balance))
    for name in names:
        books.do(reserve(name, amount))
    return books


def of(kind: EntryKind, messages: list[Message]) -> list[EntryRecorded]:
    return [message for message in messages if isinstance(message, EntryRecorded) and message.kind is kind]


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
