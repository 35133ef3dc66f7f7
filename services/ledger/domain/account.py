"""An account: the grants and reservations that can still move credits, and the entities that others become."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from winnow.contracts.errors import ErrorCode

REFUNDABLE_FOR: Final = timedelta(days=30)
"""Time after its end in which a reservation can be refunded."""

GRANTS_MAX: Final = 1_000
"""Grants of an account at once that hold credits, or pay for an open reservation."""

PINS_MAX: Final = 10_000
"""Parts of grants that the open reservations of an account pin at once; each reservation pins one at least.

With both bounds a stored account stays below 8 MB, half of what a document may have.
"""


class Source(StrEnum):
    """Source of credits."""

    plan = "plan"
    topup = "topup"
    promo = "promo"
    rollover = "rollover"


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a grant."""

    grant_id: str
    amount_credits_micro: int


@dataclass(frozen=True, slots=True)
class Grant:
    """Credits from one source, and what is left of them; ``sequence`` counts the account's grants from 1.

    ``held_credits_micro`` is pinned by open reservations. ``grace_id`` names the grant that lengthened the life of
    this one, ``grace_of`` the one whose life this one lengthens.
    """

    grant_id: str
    source: Source
    granted_credits_micro: int
    left_credits_micro: int
    expires_at: datetime | None
    sequence: int
    held_credits_micro: int = 0
    grace_id: str | None = None
    grace_of: str | None = None

    def is_expired(self, now: datetime) -> bool:
        """Return whether it can no longer be spent."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True)
class Reservation:
    """Credits held for a task; ``slices`` are the pinned parts of grants, in burn order."""

    reservation_id: str
    task_id: str
    price_per_output_credits_micro: int
    expires_at: datetime
    slices: tuple[Slice, ...]

    @property
    def held_credits_micro(self) -> int:
        """Sum the pinned slices."""
        return total(self.slices)


@dataclass(frozen=True, slots=True)
class Ended:
    """An ended reservation: which slices were charged, and how much came back since."""

    task_id: str
    charged: tuple[Slice, ...]
    refunded_credits_micro: int
    cost_is_booked: bool
    expires_at: datetime
    ended_at: datetime

    @property
    def refundable_credits_micro(self) -> int:
        """Return what may still be refunded."""
        return total(self.charged) - self.refunded_credits_micro


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reservation id that was refused, or burnt before it was seen; it stays refused."""

    code: ErrorCode
    shortfall_credits_micro: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Retired:
    """An entity of an account: a reservation that ended or was refused, or a grant without credits.

    It has left the account's state, and is read again when a command names it.
    """

    ended: Ended | None = None
    refusal: Refusal | None = None
    grant: Grant | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """The state of an account. The totals count from the account's first entry, in micro-credits.

    ``held_credits_micro`` is the sum of the open reservations, kept so that an entry need not add them up.
    ``grants_count`` counts every grant there ever was, ``pins_count`` the slices of open reservations.

    Always: granted + refunded = left + held + settled + expired, where left is the sum over grants.
    """

    account_id: str
    grants: dict[str, Grant] = field(default_factory=dict)
    open: dict[str, Reservation] = field(default_factory=dict)
    grants_count: int = 0
    pins_count: int = 0
    entries_count: int = 0
    held_credits_micro: int = 0
    granted_credits_micro: int = 0
    settled_credits_micro: int = 0
    refunded_credits_micro: int = 0
    expired_credits_micro: int = 0

    @property
    def left_credits_micro(self) -> int:
        """Sum what is left of every grant, including one that expired and is not swept yet."""
        return sum(grant.left_credits_micro for grant in self.grants.values())

    def available_credits_micro(self, now: datetime) -> int:
        """Sum what can be spent at ``now``: an expired grant counts for nothing even before its entry."""
        return sum(grant.left_credits_micro for grant in self.grants.values() if not grant.is_expired(now))


def total(slices: Iterable[Slice]) -> int:
    """Sum slices."""
    return sum(part.amount_credits_micro for part in slices)


def due_at(account: Account) -> datetime | None:
    """Return the soonest time at which time alone changes the books: a grant or a reservation expires."""
    times = [
        grant.expires_at
        for grant in account.grants.values()
        if grant.left_credits_micro and grant.expires_at is not None
    ]
    times += [reservation.expires_at for reservation in account.open.values()]
    return min(times, default=None)
