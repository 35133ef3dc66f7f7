"""End of a reservation, and what may follow it: a refund, or a cost that comes late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.ledger.domain.account import GRANTS_MAX, REFUNDABLE_FOR, Ended, Reservation
from services.ledger.domain.books import Subject, cost_postings, credit_postings, variance_postings
from services.ledger.domain.burn import give_back, refund_slices, take
from services.ledger.domain.decision_builder import LedgerDecisionBuilder
from services.ledger.domain.evolve import lots_of
from services.ledger.domain.records import (
    LateCostBooked,
    Refunded,
    ReservationEnded,
    ReservationRefused,
    VarianceBooked,
)
from winnow.contracts.chart_of_accounts import REVENUE, available_of, held_of
from winnow.contracts.commands import BookCostVariance, RefundCredits, ReleaseCredits, SettleCredits
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import RefundRefused, TaskSettled
from winnow.contracts.ids import refund_key
from winnow.contracts.values import EntryKind, ProviderCost

CUSTOMER_REASONS: Final = frozenset({"cancelled", "cancelled_before_funding"})
"""Releases for these reasons are the customer's own doing: credits whose grant expired meanwhile stay expired.
For every other end they come back as a grace grant."""


@dataclass(frozen=True, slots=True)
class ReservationEnd:
    """Requested end of a reservation: by what, how much is charged for how many outputs, what it cost, and why."""

    by: EntryKind
    charge_credits_micro: int
    delivered_count: int
    cost: ProviderCost
    reason: str
    entry_reason: str = ""


def settle(builder: LedgerDecisionBuilder, command: SettleCredits) -> None:
    """Charge part of a reservation and release the rest.

    The charge is capped at what is held and at the price of what was delivered; the cap is named in the
    entry's reason. Settling nothing releases everything.
    """
    reservation = _open_reservation(builder, command)
    if reservation is None:
        _after_end(builder, command, absorbed=command.amount_credits_micro)
        return
    caps = {
        "capped_at_held": reservation.held_credits_micro,
        "capped_at_delivered": command.delivered_count * reservation.price_per_output_credits_micro,
    }
    cap = min(caps, key=lambda name: caps[name])
    over = command.amount_credits_micro > caps[cap]
    ending = ReservationEnd(
        by=EntryKind.settle,
        charge_credits_micro=min(command.amount_credits_micro, caps[cap]),
        delivered_count=command.delivered_count,
        cost=command.cost,
        reason=command.reason,
        entry_reason=f"{command.reason}, {cap}" if over else command.reason,
    )
    end(builder, reservation, ending)


def release(builder: LedgerDecisionBuilder, command: ReleaseCredits) -> None:
    """Release a whole reservation; an id that was never seen is burnt, so that a late reserve is refused."""
    reservation = _open_reservation(builder, command)
    account, reservation_id = builder.account, command.reservation_id
    if reservation is not None:
        end(builder, reservation, ReservationEnd(EntryKind.release, 0, 0, command.cost, command.reason))
    elif reservation_id in account.open or builder.ended(reservation_id) is not None:
        _after_end(builder, command, absorbed=0)
    elif builder.refusal(reservation_id) is None:
        builder.add(
            ReservationRefused(reservation_id=reservation_id, code=ErrorCode.reservation_already_resolved)
        )


def end(builder: LedgerDecisionBuilder, reservation: Reservation, ending: ReservationEnd) -> None:
    """End an open reservation: the one place where a hold ends. One entry, then the bill."""
    reservation_id = reservation.reservation_id
    charged, rest = take(reservation.slices, ending.charge_credits_micro)
    grace = ending.reason not in CUSTOMER_REASONS
    back = give_back(builder.account, rest, builder.now, grace=grace, found=builder.found)
    builder.add(
        ReservationEnded(
            reservation_id=reservation_id,
            by=ending.by,
            charged=lots_of(charged),
            returned=lots_of(back.slices),
            graces=back.graces,
            graced=lots_of(back.graced),
            cost_is_booked=ending.by is not EntryKind.expire_reservation,
        )
    )
    held, settled = reservation.held_credits_micro, ending.charge_credits_micro
    account_id = builder.account.account_id
    moves = [(held_of(account_id), -held), (REVENUE, settled), (available_of(account_id), held - settled)]
    builder.book(
        ending.by,
        settled if ending.by is EntryKind.settle else held,
        Subject(
            f"{reservation_id}:end",
            ending.entry_reason or ending.reason,
            reservation.task_id,
            reservation_id,
        ),
        [*credit_postings(moves), *cost_postings(ending.cost)],
        charged if ending.by is EntryKind.settle else back.slices,
    )
    builder.add(
        TaskSettled(
            task_id=reservation.task_id,
            account_id=account_id,
            reservation_id=reservation_id,
            reserved_credits_micro=held,
            settled_credits_micro=settled,
            released_credits_micro=held - settled,
            delivered_count=ending.delivered_count,
            price_per_output_credits_micro=reservation.price_per_output_credits_micro,
            cost=ending.cost,
            reason=ending.reason,
        )
    )


def refund(builder: LedgerDecisionBuilder, command: RefundCredits) -> None:
    """Refund part of a charge to the grants it came from, at most what was charged and is not back yet.

    Every refund has one outcome that others see: its entry, or ``refund.refused``.
    """
    reservation_id, amount = command.reservation_id, command.amount_credits_micro
    ended = builder.ended(reservation_id)
    if ended is None or ended.task_id != command.task_id:
        _refuse_refund(builder, command, ErrorCode.reservation_unknown, "the task has no charge yet")
        return
    if builder.now - ended.ended_at > REFUNDABLE_FOR:
        _refuse_refund(builder, command, ErrorCode.deadline_exceeded, "the time for a refund is over")
        return
    if amount > ended.refundable_credits_micro:
        _refuse_refund(builder, command, ErrorCode.amount_not_allowed, "more than is left of the charge")
        return
    slices = refund_slices(ended.charged, ended.refunded_credits_micro, amount)
    back = give_back(builder.account, slices, builder.now, grace=True, found=builder.found)
    if len(builder.account.grants) + len(back.revived) + len(back.graces) > GRANTS_MAX:
        _refuse_refund(builder, command, ErrorCode.out_of_bounds, "the account has too many grants")
        return
    builder.add(
        Refunded(
            reservation_id=reservation_id,
            returned=lots_of(back.slices),
            graces=back.graces,
            graced=lots_of(back.graced),
            revived=list(back.revived.values()),
        )
    )
    builder.book(
        EntryKind.refund,
        amount,
        Subject(refund_key(command.command_id), command.reason, command.task_id, reservation_id),
        credit_postings([(REVENUE, -amount), (available_of(command.account_id), amount)]),
        back.slices,
    )


def _refuse_refund(
    builder: LedgerDecisionBuilder, command: RefundCredits, code: ErrorCode, reason: str
) -> None:
    builder.refuse(command, command.reservation_id, code, reason)
    builder.add(
        RefundRefused(
            refund_id=command.command_id,
            account_id=command.account_id,
            task_id=command.task_id,
            reservation_id=command.reservation_id,
            amount_credits_micro=command.amount_credits_micro,
            code=code,
            reason=reason,
        )
    )


def book_variance(builder: LedgerDecisionBuilder, command: BookCostVariance) -> None:
    """Book how far an attempt's cost lies from what its task's bill took it for; never twice for an attempt.

    It needs no reservation: the bill may come before it or after it.
    """
    variance = command.actual_usd_micro - command.booked_usd_micro
    if not variance:
        return
    builder.add(VarianceBooked(attempt_id=command.attempt_id, variance_usd_micro=variance))
    builder.book(
        EntryKind.cost_variance,
        0,
        Subject(
            f"{command.attempt_id}:variance",
            "cost_known_after_the_bill",
            command.task_id,
            command.reservation_id,
        ),
        variance_postings(variance),
    )


def _open_reservation(
    builder: LedgerDecisionBuilder, command: SettleCredits | ReleaseCredits
) -> Reservation | None:
    """Return the reservation that the command may end: an open one, of the task it names."""
    reservation = builder.account.open.get(command.reservation_id)
    if reservation is None or reservation.task_id != command.task_id:
        return None
    return reservation


def _after_end(
    builder: LedgerDecisionBuilder, command: SettleCredits | ReleaseCredits, *, absorbed: int
) -> None:
    reservation_id = command.reservation_id
    ended: Ended | None = builder.ended(reservation_id)
    if ended is None or ended.task_id != command.task_id:
        builder.refuse(
            command, reservation_id, ErrorCode.reservation_unknown, "the task holds no such reservation"
        )
    elif ended.cost_is_booked:
        builder.refuse(command, reservation_id, ErrorCode.reservation_already_resolved, "it has ended before")
    else:
        builder.add(LateCostBooked(reservation_id=reservation_id, absorbed_credits_micro=absorbed))
        builder.book(
            EntryKind.settle,
            0,
            Subject(
                f"{reservation_id}:late",
                f"{command.reason}, absorbed_after_expiry",
                command.task_id,
                reservation_id,
            ),
            cost_postings(command.cost),
        )
