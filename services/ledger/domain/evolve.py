"""The fold of an account. It reads the private events; public events only count entries.

It never reads an entity (``retired``), so that the state is the same whether an entity was loaded or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from services.ledger.domain.account import Account, Grant, Reservation, Slice, total
from services.ledger.domain.records import (
    Grace,
    Granted,
    GrantExpired,
    GrantRetired,
    Refunded,
    ReservationEnded,
    Reserved,
    Revived,
)
from winnow.contracts.envelope import Event
from winnow.contracts.events import EntryRecorded
from winnow.contracts.values import LotSlice

T = TypeVar("T")


def evolve(account: Account, event: Event, at: datetime) -> Account:
    """Fold an event that was recorded at ``at``."""
    del at
    match event:
        case EntryRecorded():
            folded = _counted(account)
        case Granted():
            folded = _granted(account, event)
        case Reserved():
            folded = _reserved(account, event)
        case ReservationEnded():
            folded = _ended(account, event)
        case Refunded():
            folded = _refunded(account, event)
        case GrantExpired():
            folded = _grant_expired(account, event)
        case GrantRetired():
            folded = replace(account, grants=_without(account.grants, event.grant_id))
        case _:
            folded = account
    return folded


def slices_of(lots: Iterable[LotSlice]) -> tuple[Slice, ...]:
    """Read slices from the form that is recorded."""
    return tuple(Slice(lot.grant_id, lot.amount_credits_micro) for lot in lots)


def lots_of(slices: Iterable[Slice]) -> list[LotSlice]:
    """Write slices in the form that is recorded."""
    return [
        LotSlice(grant_id=part.grant_id, amount_credits_micro=part.amount_credits_micro) for part in slices
    ]


def _counted(account: Account) -> Account:
    """Count an entry. Every second event does, so all is named: ``replace`` takes more than twice as long."""
    return Account(
        account.account_id,
        account.grants,
        account.open,
        account.grants_count,
        account.pins_count,
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
        event.grant_id, event.source, amount, amount, event.expires_at, sequence=account.grants_count + 1
    )
    return replace(
        account,
        grants={**account.grants, event.grant_id: grant},
        grants_count=account.grants_count + 1,
        granted_credits_micro=account.granted_credits_micro + amount,
    )


def _reserved(account: Account, event: Reserved) -> Account:
    slices = slices_of(event.slices)
    reservation = Reservation(
        event.reservation_id, event.task_id, event.price_per_output_credits_micro, event.expires_at, slices
    )
    return replace(
        account,
        grants=_pinned(account.grants, slices),
        open={**account.open, event.reservation_id: reservation},
        pins_count=account.pins_count + len(slices),
        held_credits_micro=account.held_credits_micro + total(slices),
    )


def _ended(account: Account, event: ReservationEnded) -> Account:
    reservation = account.open[event.reservation_id]
    charged, returned = slices_of(event.charged), slices_of(event.returned)
    if total(charged) + total(returned) != reservation.held_credits_micro:
        raise ValueError("a reservation ends with exactly what it held")
    unpinned = replace(account, grants=_unpinned(account.grants, reservation.slices))
    graced = _with_graces(unpinned, event.graces, slices_of(event.graced) or returned)
    return replace(
        graced,
        grants=_moved(graced.grants, returned),
        open=_without(account.open, event.reservation_id),
        pins_count=account.pins_count - len(reservation.slices),
        held_credits_micro=account.held_credits_micro - reservation.held_credits_micro,
        settled_credits_micro=account.settled_credits_micro + total(charged),
    )


def _refunded(account: Account, event: Refunded) -> Account:
    returned = slices_of(event.returned)
    revived = replace(
        account, grants={**account.grants, **{grant.grant_id: _grant_of(grant) for grant in event.revived}}
    )
    graced = _with_graces(revived, event.graces, slices_of(event.graced) or returned)
    return replace(
        graced,
        grants=_moved(graced.grants, returned),
        refunded_credits_micro=account.refunded_credits_micro + total(returned),
    )


def _grant_of(revived: Revived) -> Grant:
    return Grant(
        revived.grant_id,
        revived.source,
        revived.granted_credits_micro,
        0,
        revived.expires_at,
        revived.sequence,
        grace_id=revived.grace_id,
        grace_of=revived.grace_of,
    )


def _grant_expired(account: Account, event: GrantExpired) -> Account:
    return replace(
        account,
        grants=_moved(account.grants, [Slice(event.grant_id, -event.amount_credits_micro)]),
        expired_credits_micro=account.expired_credits_micro + event.amount_credits_micro,
    )


def _with_graces(account: Account, graces: Sequence[Grace], received: Sequence[Slice]) -> Account:
    """Open grace grants, or let them grow; journals of before may hold several for a grant, the last counts."""
    amounts = {part.grant_id: part.amount_credits_micro for part in received}
    grants, count = dict(account.grants), account.grants_count
    for grace in graces:
        known, expired = grants.get(grace.grant_id), grants[grace.of_grant_id]
        amount = amounts[grace.grant_id]
        if known is None:
            count += 1
            known = Grant(
                grace.grant_id, expired.source, 0, 0, grace.expires_at, count, grace_of=grace.of_grant_id
            )
        grants[grace.grant_id] = replace(known, granted_credits_micro=known.granted_credits_micro + amount)
        grants[grace.of_grant_id] = replace(expired, grace_id=grace.grant_id)
    return replace(account, grants=grants, grants_count=count)


def _moved(grants: Mapping[str, Grant], changes: Iterable[Slice]) -> dict[str, Grant]:
    """Put credits into grants, or take them out without a hold."""
    moved = dict(grants)
    for part in changes:
        grant = moved[part.grant_id]
        moved[part.grant_id] = _changed(grant, part.amount_credits_micro, 0)
    return moved


def _pinned(grants: Mapping[str, Grant], slices: Iterable[Slice]) -> dict[str, Grant]:
    """Move credits from what is left of grants to what is held of them."""
    moved = dict(grants)
    for part in slices:
        amount = part.amount_credits_micro
        moved[part.grant_id] = _changed(moved[part.grant_id], -amount, amount)
    return moved


def _unpinned(grants: Mapping[str, Grant], slices: Iterable[Slice]) -> dict[str, Grant]:
    """Take the hold off grants; where the credits go stands in the event."""
    moved = dict(grants)
    for part in slices:
        moved[part.grant_id] = _changed(moved[part.grant_id], 0, -part.amount_credits_micro)
    return moved


def _changed(grant: Grant, left: int, held: int) -> Grant:
    """Change what is left and held of a grant; every field is named, as ``replace`` takes twice as long."""
    left += grant.left_credits_micro
    held += grant.held_credits_micro
    if left < 0 or held < 0 or left + held > grant.granted_credits_micro:
        raise ValueError("what is left of a grant and held lies between nothing and all of it")
    return Grant(
        grant.grant_id,
        grant.source,
        grant.granted_credits_micro,
        left,
        grant.expires_at,
        grant.sequence,
        held,
        grant.grace_id,
        grant.grace_of,
    )


def _without(mapping: Mapping[str, T], name: str) -> dict[str, T]:
    rest = dict(mapping)
    del rest[name]
    return rest
