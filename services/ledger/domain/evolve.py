"""The fold of an account. It reads the private events; public ones only count entries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from services.ledger.domain.account import (
    REMEMBERED_FOR,
    REMEMBERED_MAX,
    Account,
    Ended,
    Grant,
    Refusal,
    Reservation,
    Slice,
    total,
)
from services.ledger.domain.records import (
    Grace,
    Granted,
    GrantExpired,
    LateCostBooked,
    Refunded,
    ReservationEnded,
    ReservationRefused,
    Reserved,
)
from winnow.contracts.envelope import Event
from winnow.contracts.events import EntryRecorded
from winnow.contracts.values import LotSlice

RememberedT = TypeVar("RememberedT", Ended, Refusal)


def evolve(account: Account, event: Event, at: datetime) -> Account:
    """Fold an event that was recorded at ``at``."""
    match event:
        case EntryRecorded():
            folded = _counted(account)
        case Granted():
            folded = _granted(account, event)
        case Reserved():
            folded = _reserved(account, event)
        case ReservationEnded():
            folded = _ended(account, event, at)
        case Refunded():
            folded = _refunded(account, event)
        case GrantExpired():
            folded = _grant_expired(account, event)
        case ReservationRefused():
            folded = _refused(account, event, at)
        case LateCostBooked():
            ended = replace(account.ended[event.reservation_id], cost_is_booked=True)
            folded = replace(account, ended={**account.ended, event.reservation_id: ended})
        case _:
            folded = account
    return folded


def slices_of(lots: Iterable[LotSlice]) -> tuple[Slice, ...]:
    """Read slices from the form that is recorded."""
    return tuple(Slice(one.grant_id, one.amount_credits_micro) for one in lots)


def lots_of(slices: Iterable[Slice]) -> list[LotSlice]:
    """Write slices in the form that is recorded."""
    return [LotSlice(grant_id=one.grant_id, amount_credits_micro=one.amount_credits_micro) for one in slices]


def _counted(account: Account) -> Account:
    """Count an entry. Every second event does, so all is named: ``replace`` takes more than twice as long."""
    return Account(
        account.account_id,
        account.grants,
        account.open,
        account.ended,
        account.refused,
        account.entries_count + 1,
        account.held_credits_micro,
        account.granted_credits_micro,
        account.settled_credits_micro,
        account.refunded_credits_micro,
        account.expired_credits_micro,
    )


def _granted(account: Account, event: Granted) -> Account:
    amount = event.amount_credits_micro
    grant = Grant(
        event.grant_id, event.source, amount, amount, event.expires_at, sequence=len(account.grants) + 1
    )
    return replace(
        account,
        grants={**account.grants, event.grant_id: grant},
        granted_credits_micro=account.granted_credits_micro + amount,
    )


def _reserved(account: Account, event: Reserved) -> Account:
    slices = slices_of(event.slices)
    reservation = Reservation(
        event.reservation_id, event.task_id, event.price_per_output_credits_micro, event.expires_at, slices
    )
    taken = [Slice(one.grant_id, -one.amount_credits_micro) for one in slices]
    return replace(
        account,
        grants=_moved(account.grants, taken),
        open={**account.open, event.reservation_id: reservation},
        held_credits_micro=account.held_credits_micro + total(slices),
    )


def _ended(account: Account, event: ReservationEnded, at: datetime) -> Account:
    reservation = account.open[event.reservation_id]
    charged, returned = slices_of(event.charged), slices_of(event.returned)
    if total(charged) + total(returned) != reservation.held_credits_micro:
        msg = "a reservation ends with exactly what it held"
        raise ValueError(msg)
    ended = Ended(reservation.task_id, charged, 0, event.cost_is_booked, reservation.expires_at, ended_at=at)
    kept = {**account.ended, event.reservation_id: ended}
    return replace(
        account,
        grants=_moved(_with_graces(account.grants, event.graces, returned), returned),
        open={one: kept for one, kept in account.open.items() if one != event.reservation_id},
        ended=_remembered(kept, at),
        held_credits_micro=account.held_credits_micro - reservation.held_credits_micro,
        settled_credits_micro=account.settled_credits_micro + total(charged),
    )


def _refunded(account: Account, event: Refunded) -> Account:
    returned = slices_of(event.returned)
    amount = total(returned)
    before = account.ended[event.reservation_id]
    ended = replace(before, refunded_credits_micro=before.refunded_credits_micro + amount)
    return replace(
        account,
        grants=_moved(_with_graces(account.grants, event.graces, returned), returned),
        ended={**account.ended, event.reservation_id: ended},
        refunded_credits_micro=account.refunded_credits_micro + amount,
    )


def _grant_expired(account: Account, event: GrantExpired) -> Account:
    return replace(
        account,
        grants=_moved(account.grants, [Slice(event.grant_id, -event.amount_credits_micro)]),
        expired_credits_micro=account.expired_credits_micro + event.amount_credits_micro,
    )


def _refused(account: Account, event: ReservationRefused, at: datetime) -> Account:
    refusal = Refusal(event.code, event.shortfall_credits_micro, at)
    return replace(account, refused=_remembered({**account.refused, event.reservation_id: refusal}, at))


def _with_graces(
    grants: Mapping[str, Grant], graces: Sequence[Grace], returned: Sequence[Slice]
) -> Mapping[str, Grant]:
    amounts = {one.grant_id: one.amount_credits_micro for one in returned}
    opened = dict(grants)
    for grace in graces:
        opened[grace.grant_id] = Grant(
            grace.grant_id,
            grants[grace.of_grant_id].source,
            amounts[grace.grant_id],
            0,
            grace.expires_at,
            sequence=len(opened) + 1,
        )
    return opened


def _moved(grants: Mapping[str, Grant], changes: Iterable[Slice]) -> dict[str, Grant]:
    moved = dict(grants)
    for one in changes:
        grant = moved[one.grant_id]
        left = grant.left_credits_micro + one.amount_credits_micro
        if not 0 <= left <= grant.granted_credits_micro:
            msg = "what is left of a grant lies between nothing and all of it"
            raise ValueError(msg)
        moved[one.grant_id] = Grant(
            grant.grant_id,
            grant.source,
            grant.granted_credits_micro,
            left,
            grant.expires_at,
            grant.sequence,
        )
    return moved


def _remembered(kept: dict[str, RememberedT], at: datetime) -> dict[str, RememberedT]:
    """Forget the oldest, in place; ``kept`` is in the order of the record."""
    for one in list(kept):
        remembered = kept[one]
        since = remembered.ended_at if isinstance(remembered, Ended) else remembered.at
        can_return = isinstance(remembered, Ended) and remembered.expires_at > at
        if can_return or (len(kept) <= REMEMBERED_MAX and at - since <= REMEMBERED_FOR):
            break
        del kept[one]
    return kept
