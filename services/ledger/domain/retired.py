"""The entities of an account: ended and refused reservations, and grants without credits. Pure.

They are folded from the same events as the account, whose state is an argument: the one before the event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from services.ledger.domain.account import Account, Ended, Refusal, Retired, total
from services.ledger.domain.evolve import slices_of
from services.ledger.domain.records import (
    GrantRetired,
    LateCostBooked,
    Refunded,
    ReservationEnded,
    ReservationRefused,
)
from winnow.contracts.commands import (
    GrantCredits,
    RefundCredits,
    ReleaseCredits,
    ReserveCredits,
    SettleCredits,
)
from winnow.contracts.decider import EntityRules
from winnow.contracts.envelope import Event

Found = Mapping[str, Retired | None]


def needed(account: Account, message: object, found: Found) -> Iterable[str]:
    """Return the names of the entities that a decision reads; a refund's become known one after the other."""
    match message:
        case GrantCredits(grant_id=grant_id):
            return () if grant_id in account.grants else (grant_id,)
        case ReserveCredits(reservation_id=reservation_id) | SettleCredits(reservation_id=reservation_id):
            return () if reservation_id in account.open else (reservation_id,)
        case ReleaseCredits(reservation_id=reservation_id):
            return () if reservation_id in account.open else (reservation_id,)
        case RefundCredits(reservation_id=reservation_id):
            return () if reservation_id in account.open else _of_refund(account, reservation_id, found)
        case _:
            return ()


def _of_refund(account: Account, reservation_id: str, found: Found) -> Iterable[str]:
    """Return the reservation, the retired grants that it was charged to, and the grants of their graces."""
    yield reservation_id
    retired = found.get(reservation_id)
    if retired is None or retired.ended is None:
        return
    for part in retired.ended.charged:
        grant = account.grants.get(part.grant_id)
        if grant is None:
            yield part.grant_id
            lot = found.get(part.grant_id)
            grant = lot.grant if lot else None
        if grant is not None and grant.grace_id is not None and grant.grace_id not in account.grants:
            yield grant.grace_id


def read(event: Event) -> Iterable[str]:
    """Return the entities whose former value ``changed`` reads."""
    match event:
        case Refunded(reservation_id=reservation_id) | LateCostBooked(reservation_id=reservation_id):
            return (reservation_id,)
        case _:
            return ()


def changed(
    account: Account, event: Event, at: datetime, find: Callable[[str], Retired | None]
) -> Mapping[str, Retired]:
    """Return what entities become by an event that was recorded at ``at``."""
    match event:
        case ReservationEnded(reservation_id=reservation_id):
            reservation = account.open[reservation_id]
            ended = Ended(
                reservation.task_id,
                slices_of(event.charged),
                0,
                event.cost_is_booked,
                reservation.expires_at,
                ended_at=at,
            )
            return {reservation_id: Retired(ended=ended)}
        case Refunded(reservation_id=reservation_id):
            before = _ended(find(reservation_id))
            refunded = before.refunded_credits_micro + total(slices_of(event.returned))
            return {reservation_id: Retired(ended=replace(before, refunded_credits_micro=refunded))}
        case LateCostBooked(reservation_id=reservation_id):
            return {reservation_id: Retired(ended=replace(_ended(find(reservation_id)), cost_is_booked=True))}
        case ReservationRefused(reservation_id=reservation_id):
            refusal = Refusal(event.code, event.shortfall_credits_micro, at)
            return {reservation_id: Retired(refusal=refusal)}
        case GrantRetired(grant_id=grant_id):
            return {grant_id: Retired(grant=account.grants[grant_id])}
        case _:
            return {}


def _ended(retired: Retired | None) -> Ended:
    if retired is None or retired.ended is None:
        raise ValueError("only an ended reservation is refunded or gets a late cost")
    return retired.ended


RETIRED_RULES: Final = EntityRules(Retired, needed, read, changed)
