"""The questions the ledger answers: prices, balances, statements. What changes the books are commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from pydantic import TypeAdapter, ValidationError

from services.ledger.domain.account import Account, Grant
from services.ledger.domain.books import StatementEntry, grant_entry_id
from services.ledger.domain.burn import burn_order
from services.ledger.domain.prices import PriceList, Quote, quote
from winnow.contracts.errors import ErrorCode, Refused
from winnow.contracts.ids import AccountId
from winnow.runtime.clock import Clock

STATEMENT_MAX: Final = 200
STATEMENT_DEFAULT: Final = 50
ENTRIES_MAX: Final = 500
_ACCOUNT_ID: Final = TypeAdapter(AccountId)


class AccountAggregates(Protocol):
    """The folded accounts."""

    async def read_state(self, aggregate_id: str) -> Account | None:
        """Return an account; of one that another process owns, as it was about a second ago."""
        ...


class Entries(Protocol):
    """The entries of every account, in the order of the journal."""

    async def page(self, account_id: str, *, limit: int, before: int | None) -> Sequence[StatementEntry]:
        """Return entries of an account, newest first, from before a place; raises Unavailable."""
        ...

    async def newest(self, account_id: str, *, limit: int, after: str) -> Sequence[StatementEntry]:
        """Return entries by block, newest first, and by id within a block; none after an unknown entry."""
        ...

    async def of_task(self, account_id: str, task_id: str) -> Sequence[StatementEntry]:
        """Return the entries about a task, in order; raises Unavailable."""
        ...

    async def find(self, account_id: str, entry_id: str) -> StatementEntry | None:
        """Return an entry, None while none is committed; raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Balance:
    """Balance of an account: available, reserved, and charged less refunds; grants in burn order."""

    account_id: str
    available_credits_micro: int
    held_credits_micro: int
    settled_credits_micro: int
    grants: tuple[Grant, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """A page of entries; ``next_before`` is None on the last page."""

    entries: tuple[StatementEntry, ...]
    next_before: int | None


class Ledger:
    """The use cases."""

    def __init__(
        self, accounts: AccountAggregates, entries: Entries, prices: Sequence[PriceList], clock: Clock
    ) -> None:
        """Wire the ports."""
        self._accounts = accounts
        self._entries = entries
        self._prices = tuple(prices)
        self._clock = clock

    def quote(self, template: str, template_version: int, mode: str, k: int) -> Quote:
        """Price an order; raises Refused."""
        return quote(
            self._prices,
            template=template,
            template_version=template_version,
            mode=mode,
            k=k,
            now=self._clock.now(),
        )

    async def balance(self, account_id: str) -> Balance:
        """Return a balance; an account without an entry has nothing. Raises Refused for a malformed id."""
        _check_account(account_id)
        account = await self._accounts.read_state(account_id) or Account(account_id)
        now = self._clock.now()
        spendable = [
            grant
            for grant in account.grants.values()
            if grant.left_credits_micro and not grant.is_expired(now)
        ]
        return Balance(
            account_id,
            account.available_credits_micro(now),
            account.held_credits_micro,
            account.settled_credits_micro - account.refunded_credits_micro,
            tuple(sorted(spendable, key=burn_order)),
        )

    async def statement(self, account_id: str, limit: int, cursor: str) -> Statement:
        """Return a page of an account's entries, newest first.

        ``limit`` 0 means 50; at most 200 are given. ``cursor`` is empty, or where the page before ended.
        Raises Refused for a malformed id or cursor, Unavailable when the store does not answer.
        """
        _check_account(account_id)
        if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
            raise Refused(ErrorCode.invalid_request, "The cursor is not one that a statement gave.")
        wanted = min(limit or STATEMENT_DEFAULT, STATEMENT_MAX)
        found = await self._entries.page(account_id, limit=wanted + 1, before=int(cursor) if cursor else None)
        shown = tuple(found[:wanted])
        return Statement(shown, shown[-1].place if len(found) > wanted else None)

    async def entries(self, account_id: str, limit: int, after: str) -> Sequence[StatementEntry]:
        """Return a page of entries by block, newest first, and by id within a block; none after an unknown entry.

        Raises Refused for a malformed account, and Unavailable.
        """
        _check_account(account_id)
        wanted = min(limit or STATEMENT_DEFAULT, ENTRIES_MAX)
        return await self._entries.newest(account_id, limit=wanted, after=after)

    async def entries_of_task(self, account_id: str, task_id: str) -> Sequence[StatementEntry]:
        """Return the entries about a task, in order; raises Refused for a malformed account, and Unavailable."""
        _check_account(account_id)
        return await self._entries.of_task(account_id, task_id)

    async def entry(self, account_id: str, entry_id: str, grant_id: str) -> StatementEntry | None:
        """Return an entry by its id, or by the grant that it books; None while it is not booked.

        Raises Refused for a malformed account, and Unavailable.
        """
        _check_account(account_id)
        return await self._entries.find(account_id, entry_id or grant_entry_id(account_id, grant_id))


def _check_account(account_id: str) -> None:
    try:
        _ACCOUNT_ID.validate_python(account_id)
    except ValidationError:
        raise Refused(ErrorCode.invalid_request, "That is not an account id.") from None
