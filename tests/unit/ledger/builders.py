"""Builders of the ledger's commands, and the books of one account to try them on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from winnow.contracts.commands import (
    BookCostVariance,
    GrantCredits,
    RefundCredits,
    ReleaseCredits,
    ReserveCredits,
    SettleCredits,
)
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.values import ProviderCost

ACCOUNT = "acct_mila"
START = datetime(2026, 11, 1, tzinfo=UTC)
PRICE = 10


def rsv(name: object) -> str:
    return derive_id(Prefix.reservation, str(name))


def task(name: object) -> str:
    return derive_id(Prefix.task, str(name))


def grt(name: object) -> str:
    return derive_id(Prefix.grant, str(name))


def _cmd(*parts: object) -> str:
    return derive_id(Prefix.command, *map(str, parts))


def grant(
    name: object, amount: int, *, source: Any = "topup", expires_at: datetime | None = None
) -> GrantCredits:
    return GrantCredits(
        command_id=_cmd("grant", name, amount, source),
        account_id=ACCOUNT,
        grant_id=grt(name),
        amount_credits_micro=amount,
        source=source,
        expires_at=expires_at,
    )


def reserve(
    name: object, amount: int, *, expires_at: datetime = START + timedelta(days=20), price: int = PRICE
) -> ReserveCredits:
    return ReserveCredits(
        command_id=_cmd("reserve", name),
        account_id=ACCOUNT,
        reservation_id=rsv(name),
        task_id=task(name),
        amount_credits_micro=amount,
        price_per_output_credits_micro=price,
        expires_at=expires_at,
    )


def settle(
    name: object,
    amount: int,
    *,
    delivered: int | None = None,
    cost: ProviderCost | None = None,
    by: str = "delivery",
) -> SettleCredits:
    return SettleCredits(
        command_id=_cmd("settle", name, by),
        account_id=ACCOUNT,
        reservation_id=rsv(name),
        task_id=task(name),
        amount_credits_micro=amount,
        delivered_count=-(-amount // PRICE) if delivered is None else delivered,
        cost=cost or ProviderCost(),
        reason="delivered",
    )


def release(name: object, *, reason: str = "deadline_exceeded", by: str = "router") -> ReleaseCredits:
    return ReleaseCredits(
        command_id=_cmd("release", name, by),
        account_id=ACCOUNT,
        reservation_id=rsv(name),
        task_id=task(name),
        cost=ProviderCost(),
        reason=reason,
    )


def refund(name: object, amount: int, *, number: int = 1) -> RefundCredits:
    return RefundCredits(
        command_id=_cmd("refund", name, number),
        account_id=ACCOUNT,
        task_id=task(name),
        reservation_id=rsv(name),
        amount_credits_micro=amount,
        reason="complaint",
    )


def variance(name: object, booked: int, actual: int, *, of: object = "t") -> BookCostVariance:
    return BookCostVariance(
        command_id=_cmd("variance", name),
        account_id=ACCOUNT,
        task_id=task(of),
        reservation_id=rsv(of),
        attempt_id=derive_id(Prefix.attempt, str(name)),
        booked_usd_micro=booked,
        actual_usd_micro=actual,
    )


DAY = timedelta(days=1)
