"""Which grants pay, in which order, and how that is undone: by the recorded slices, never by today's order."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from services.ledger.domain.account import Account, Grant, Slice, Source
from services.ledger.domain.records import Grace
from winnow.contracts.ids import Prefix, derive_id

GRACE: Final = timedelta(hours=24)
"""How long credits can be spent that come back, through no fault of the customer, after their grant expired."""

_NEVER: Final = datetime.max.replace(tzinfo=UTC)


def burn_order(grant: Grant) -> tuple[datetime, bool, int, str]:
    """Order grants: soonest expiry first, then promo before paid, then the older one."""
    return (grant.expires_at or _NEVER, grant.source is not Source.promo, grant.sequence, grant.grant_id)


def pin(account: Account, amount_credits_micro: int, now: datetime) -> tuple[Slice, ...]:
    """Take an amount from the spendable grants, in burn order; the amount must be available."""
    spendable = [one for one in account.grants.values() if one.left_credits_micro and not one.is_expired(now)]
    taken = take(
        (Slice(one.grant_id, one.left_credits_micro) for one in sorted(spendable, key=burn_order)),
        amount_credits_micro,
    )
    return taken[0]


def take(slices: Iterable[Slice], amount_credits_micro: int) -> tuple[tuple[Slice, ...], tuple[Slice, ...]]:
    """Split slices, in their order, into those that make up the amount and the rest.

    Raises ValueError when they hold less.
    """
    taken: list[Slice] = []
    rest: list[Slice] = []
    missing = amount_credits_micro
    for one in slices:
        part = min(missing, one.amount_credits_micro)
        missing -= part
        if part:
            taken.append(Slice(one.grant_id, part))
        if part < one.amount_credits_micro:
            rest.append(Slice(one.grant_id, one.amount_credits_micro - part))
    if missing:
        msg = "the slices hold less than the amount"
        raise ValueError(msg)
    return tuple(taken), tuple(rest)


def refund_slices(charged: tuple[Slice, ...], already: int, amount_credits_micro: int) -> tuple[Slice, ...]:
    """Undo a charge from its end, passing over what went back already; the amount must be refundable."""
    _, rest = take(reversed(charged), already)
    return take(rest, amount_credits_micro)[0]


def give_back(
    account: Account, slices: tuple[Slice, ...], now: datetime, *, cause: str, grace: bool
) -> tuple[tuple[Slice, ...], tuple[Grace, ...]]:
    """Say where slices go back to: their own grants, or a grace grant in the place of an expired one.

    Without ``grace`` (the customer's own doing) they go to the expired grant, which is then swept.
    ``cause`` names what gives them back, so that a repeat opens the same grace grants.
    """
    returned: list[Slice] = []
    graces: list[Grace] = []
    for one in slices:
        grant = account.grants[one.grant_id]
        if grace and grant.is_expired(now):
            grace_id = derive_id(Prefix.grant, "grace", account.account_id, cause, grant.grant_id)
            graces.append(Grace(grant_id=grace_id, of_grant_id=grant.grant_id, expires_at=now + GRACE))
            returned.append(Slice(grace_id, one.amount_credits_micro))
        else:
            returned.append(one)
    return tuple(returned), tuple(graces)
