"""The decisions of the ledger. Every decision first sweeps the grants that have expired.

A reservation ends once: by settlement, by release, or by time, whichever the journal takes first. What comes
after the end changes no balance and is recorded as refused.

One exception is the provider cost of a task whose reservation ran out of time: the house paid it, so it is
booked. The charge of such a task is lost to the house. It is not taken from credits that the customer may
have spent since.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from services.ledger.domain.account import (
    GRANTS_MAX,
    PINS_MAX,
    Account,
    Grant,
    Reservation,
    Retired,
    Slice,
    Source,
    due_at,
    total,
)
from services.ledger.domain.books import Subject, credit_postings, grant_key
from services.ledger.domain.burn import pin
from services.ledger.domain.decision_builder import LedgerDecisionBuilder
from services.ledger.domain.evolve import evolve, lots_of
from services.ledger.domain.records import (
    PRIVATE_EVENTS,
    UPCASTERS,
    Granted,
    GrantExpired,
    GrantRetired,
    ReservationRefused,
    Reserved,
)
from services.ledger.domain.reservation_end import ReservationEnd, book_variance, end, refund, release, settle
from services.ledger.domain.retired import RETIRED_RULES, Found
from winnow.contracts.chart_of_accounts import BREAKAGE, available_of, grants_of, held_of
from winnow.contracts.commands import (
    BookCostVariance,
    GrantCredits,
    LedgerCommand,
    RefundCredits,
    ReleaseCredits,
    ReserveCredits,
    SettleCredits,
)
from winnow.contracts.decider import Decider, Joined, Tick
from winnow.contracts.envelope import Message
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import TaskFunded, TaskUnfunded
from winnow.contracts.money import AMOUNT_MAX
from winnow.contracts.values import EntryKind, ProviderCost

_RETIRED_AT_ONCE: Final = 100
"""Grants that one decision retires at most; an account of before may bring thousands."""


def decide(account: Account, message: LedgerCommand | Tick, now: datetime, found: Found) -> Sequence[Message]:
    """Decide a command, or what time alone changes, at ``now``; nothing means that nothing is recorded.

    ``found`` holds the entities that ``retired.needed`` names. Raises ValueError for a command about another
    account, which is a fault of its sender.
    """
    builder = LedgerDecisionBuilder(account, now, found)
    sweep(builder)
    match message:
        case Tick():
            _expire_reservations(builder)
        case LedgerCommand(account_id=account_id) if account_id != account.account_id:
            raise ValueError("a command reached the books of another account")
        case GrantCredits():
            _grant(builder, message)
        case ReserveCredits():
            _reserve(builder, message)
        case SettleCredits():
            settle(builder, message)
        case ReleaseCredits():
            release(builder, message)
        case RefundCredits():
            refund(builder, message)
        case BookCostVariance():
            book_variance(builder, message)
        case _:
            raise ValueError("the ledger has no such command")
    sweep(builder)
    _retire(builder)
    return builder.messages


def sweep(builder: LedgerDecisionBuilder) -> None:
    """Take what is left of expired grants out of the books' available credits, grant by grant."""
    for grant in list(builder.account.grants.values()):
        amount = grant.left_credits_micro
        if not amount or not grant.is_expired(builder.now):
            continue
        builder.add(GrantExpired(grant_id=grant.grant_id, amount_credits_micro=amount))
        # Credits can come back to an expired grant and expire again, so the count tells the entries apart.
        key = f"{grant.grant_id}:expire:{builder.account.entries_count}"
        builder.book(
            EntryKind.expire_grant,
            amount,
            Subject(key, "grant_expired", grant_id=grant.grant_id),
            credit_postings([(available_of(builder.account.account_id), -amount), (BREAKAGE, amount)]),
        )


def _retire(builder: LedgerDecisionBuilder) -> None:
    """Let grants leave the state that hold nothing and pay for no open reservation.

    A grace stays as long as the grant whose life it lengthens: what comes back to that one needs it.
    """
    idle = [
        grant.grant_id
        for grant in builder.account.grants.values()
        if not grant.left_credits_micro
        and not grant.held_credits_micro
        and grant.grace_of not in builder.account.grants
    ]
    for grant_id in idle[:_RETIRED_AT_ONCE]:
        builder.add(GrantRetired(grant_id=grant_id))


def _expire_reservations(builder: LedgerDecisionBuilder) -> None:
    for reservation in list(builder.account.open.values()):
        if reservation.expires_at <= builder.now:
            ending = ReservationEnd(EntryKind.expire_reservation, 0, 0, ProviderCost(), "expired")
            end(builder, reservation, ending)


def _grant(builder: LedgerDecisionBuilder, command: GrantCredits) -> None:
    known = _known_grant(builder, command.grant_id)
    amount = command.amount_credits_micro
    if known is not None:
        same = (known.source, known.granted_credits_micro, known.expires_at) == (
            command.source,
            amount,
            command.expires_at,
        )
        if not same:
            builder.refuse(command, command.grant_id, ErrorCode.idempotency_key_reused, "other terms")
        return
    if builder.account.granted_credits_micro + amount > AMOUNT_MAX:
        builder.refuse(command, command.grant_id, ErrorCode.amount_not_allowed, "beyond the largest amount")
        return
    if len(builder.account.grants) >= GRANTS_MAX:
        builder.refuse(command, command.grant_id, ErrorCode.out_of_bounds, "the account has too many grants")
        return
    builder.add(
        Granted(
            grant_id=command.grant_id,
            source=Source(command.source),
            amount_credits_micro=amount,
            expires_at=command.expires_at,
        )
    )
    granted = builder.account.grants[command.grant_id]
    builder.book(
        EntryKind.grant,
        amount,
        Subject(grant_key(command.grant_id), f"granted_{command.source}", grant_id=command.grant_id),
        credit_postings(
            [(grants_of(granted.source.value), -amount), (available_of(command.account_id), amount)]
        ),
    )


def _known_grant(builder: LedgerDecisionBuilder, grant_id: str) -> Grant | None:
    grant = builder.account.grants.get(grant_id)
    if grant is not None:
        return grant
    retired = builder.found[grant_id]
    return retired.grant if retired else None


def _reserve(builder: LedgerDecisionBuilder, command: ReserveCredits) -> None:
    account, reservation_id = builder.account, command.reservation_id
    refusal = builder.refusal(reservation_id)
    if refusal is not None:
        builder.add(_unfunded(command, refusal.code, refusal.shortfall_credits_micro))
        return
    if reservation_id in account.open or builder.ended(reservation_id) is not None:
        builder.refuse(command, reservation_id, ErrorCode.reservation_already_resolved, "the id is taken")
        return
    shortfall = command.amount_credits_micro - account.available_credits_micro(builder.now)
    if command.expires_at <= builder.now:
        _refuse_reservation(builder, command, ErrorCode.deadline_exceeded, 0)
    elif shortfall > 0:
        _refuse_reservation(builder, command, ErrorCode.insufficient_credits, shortfall)
    else:
        slices = pin(account, command.amount_credits_micro, builder.now)
        if account.pins_count + len(slices) > PINS_MAX:
            _refuse_reservation(builder, command, ErrorCode.out_of_bounds, 0)
        else:
            _hold(builder, command, slices)


def _hold(builder: LedgerDecisionBuilder, command: ReserveCredits, slices: tuple[Slice, ...]) -> None:
    amount = command.amount_credits_micro
    builder.add(
        Reserved(
            reservation_id=command.reservation_id,
            task_id=command.task_id,
            price_per_output_credits_micro=command.price_per_output_credits_micro,
            expires_at=command.expires_at,
            slices=lots_of(slices),
        )
    )
    builder.book(
        EntryKind.reserve,
        amount,
        Subject(f"{command.reservation_id}:reserve", "reserved", command.task_id, command.reservation_id),
        credit_postings([(available_of(command.account_id), -amount), (held_of(command.account_id), amount)]),
        slices,
    )
    held: Reservation = builder.account.open[command.reservation_id]
    builder.add(
        TaskFunded(
            task_id=command.task_id,
            account_id=command.account_id,
            reservation_id=command.reservation_id,
            reserved_credits_micro=total(held.slices),
        )
    )


def _refuse_reservation(
    builder: LedgerDecisionBuilder, command: ReserveCredits, code: ErrorCode, shortfall_credits_micro: int
) -> None:
    builder.add(
        ReservationRefused(
            reservation_id=command.reservation_id,
            code=code,
            shortfall_credits_micro=shortfall_credits_micro,
        )
    )
    builder.add(_unfunded(command, code, shortfall_credits_micro))


def _unfunded(command: ReserveCredits, code: ErrorCode, shortfall_credits_micro: int) -> TaskUnfunded:
    return TaskUnfunded(
        task_id=command.task_id,
        account_id=command.account_id,
        reservation_id=command.reservation_id,
        code=code,
        shortfall_credits_micro=shortfall_credits_micro,
    )


def _decide(account: Account, joined: Joined[Retired], now: datetime) -> Sequence[Message]:
    return decide(account, joined.message, now, joined.entities)


def _is_final(account: Account) -> bool:
    """Let an account leave memory while nothing of it is due; it is read again on demand."""
    return due_at(account) is None


DECIDER: Final = Decider(
    producer="ledger",
    state_type=Account,
    state_version=2,
    private_events=PRIVATE_EVENTS,
    upcasters=UPCASTERS,
    initial=Account,
    decide=_decide,
    evolve=evolve,
    due_at=due_at,
    is_final=_is_final,
    entity_rules=RETIRED_RULES,
)
"""The rules of an account. Version 1 of the state held what has become entities."""
