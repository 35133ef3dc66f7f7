"""Order in which grants pay, and how a payment is undone: by the recorded slices, never by today's order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from services.ledger.domain.account import Account, Grant, Slice, Source
from services.ledger.domain.records import Grace, Revived
from services.ledger.domain.retired import Found
from winnow.contracts.ids import Prefix, derive_id

GRACE: Final = timedelta(hours=24)
"""Time in which returned credits can be spent, through no fault of the customer, after their grant expired.

A grant is lengthened once: what comes back while its grace lasts joins it, what comes back later has expired.
"""

_NEVER: Final = datetime.max.replace(tzinfo=UTC)


def burn_order(grant: Grant) -> tuple[datetime, bool, int, str]:
    """Order grants: soonest expiry first, then promo before paid, then the older one."""
    return (grant.expires_at or _NEVER, grant.source is not Source.promo, grant.sequence, grant.grant_id)


def pin(account: Account, amount_credits_micro: int, now: datetime) -> tuple[Slice, ...]:
    """Take an amount from the spendable grants, in burn order; the amount must be available."""
    spendable = [
        grant for grant in account.grants.values() if grant.left_credits_micro and not grant.is_expired(now)
    ]
    taken = take(
        (Slice(grant.grant_id, grant.left_credits_micro) for grant in sorted(spendable, key=burn_order)),
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
    for slice_ in slices:
        part = min(missing, slice_.amount_credits_micro)
        missing -= part
        if part:
            taken.append(Slice(slice_.grant_id, part))
        if part < slice_.amount_credits_micro:
            rest.append(Slice(slice_.grant_id, slice_.amount_credits_micro - part))
    if missing:
        raise ValueError("the slices hold less than the amount")
    return tuple(taken), tuple(rest)


def refund_slices(charged: tuple[Slice, ...], already: int, amount_credits_micro: int) -> tuple[Slice, ...]:
    """Undo a charge from its end, passing over what went back already; the amount must be refundable."""
    _, rest = take(reversed(charged), already)
    return take(rest, amount_credits_micro)[0]


@dataclass(slots=True)
class Return:
    """Destination of returned credits.

    Slices of grants, grace grants that open or grow by ``graced``, and retired grants.
    """

    slices: list[Slice] = field(default_factory=list)
    graces: list[Grace] = field(default_factory=list)
    graced: list[Slice] = field(default_factory=list)
    revived: dict[str, Revived] = field(default_factory=dict)


class _Lots:
    """The grants of an account, those that are retired included."""

    def __init__(self, account: Account, found: Found) -> None:
        self._account = account
        self._found = found

    def get(self, grant_id: str) -> Grant:
        grant = self._account.grants.get(grant_id)
        if grant is not None:
            return grant
        retired = self._found[grant_id]
        if retired is None or retired.grant is None:
            raise ValueError("credits come back to a grant that there was")
        return retired.grant

    def revived(self, grant: Grant) -> dict[str, Revived]:
        if grant.grant_id in self._account.grants:
            return {}
        return {
            grant.grant_id: Revived(
                grant_id=grant.grant_id,
                source=grant.source,
                granted_credits_micro=grant.granted_credits_micro,
                expires_at=grant.expires_at,
                sequence=grant.sequence,
                grace_id=grant.grace_id,
                grace_of=grant.grace_of,
            )
        }


def give_back(
    account: Account, slices: Iterable[Slice], now: datetime, *, grace: bool, found: Found
) -> Return:
    """Return the grants to which slices go back: their own grants, or the grace of one that has expired.

    Without ``grace`` (the customer's own doing), and where the one grace is over, they go to the expired grant,
    which is then swept. ``found`` holds the retired grants.
    """
    back, lots = Return(), _Lots(account, found)
    for part in slices:
        grant = lots.get(part.grant_id)
        back.revived |= lots.revived(grant)
        opened = _grace_of(account, lots, grant, now) if grace else None
        if opened is None:
            back.slices.append(part)
            continue
        if grant.grace_id is not None:
            back.revived |= lots.revived(lots.get(grant.grace_id))
        graced = Slice(opened.grant_id, part.amount_credits_micro)
        back.graces.append(opened)
        back.graced.append(graced)
        back.slices.append(graced)
    return back


def _grace_of(account: Account, lots: _Lots, grant: Grant, now: datetime) -> Grace | None:
    """Return the grace of an expired grant: the one that lasts, or its first; None where there is none any more."""
    if not grant.is_expired(now) or grant.grace_of is not None:
        return None
    if grant.grace_id is None:
        grace_id = derive_id(Prefix.grant, "grace", account.account_id, grant.grant_id)
        return Grace(grant_id=grace_id, of_grant_id=grant.grant_id, expires_at=now + GRACE)
    lasting = lots.get(grant.grace_id)
    if lasting.expires_at is None or lasting.is_expired(now):
        return None
    return Grace(grant_id=lasting.grant_id, of_grant_id=grant.grant_id, expires_at=lasting.expires_at)
