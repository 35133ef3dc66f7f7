"""The books: which accounts an entry moves. A posting adds its amount, with its sign, to the account it names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.ledger.domain.account import Account, Slice
from services.ledger.domain.evolve import lots_of
from winnow.contracts.chart_of_accounts import PROVIDER_COST, PROVIDER_PAYABLE, PROVIDER_VARIANCE
from winnow.contracts.events import EntryRecorded
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.values import EntryKind, Posting, ProviderCost, Unit


@dataclass(frozen=True, slots=True)
class StatementEntry:
    """An entry, when it was recorded, and its place in the account's history."""

    place: int
    occurred_at: datetime
    entry: EntryRecorded


def grant_key(grant_id: str) -> str:
    """Return the name of a grant's entry within its account."""
    return f"{grant_id}:grant"


def grant_entry_id(account_id: str, grant_id: str) -> str:
    """Return the id of the entry that books a grant."""
    return derive_id(Prefix.entry, account_id, grant_key(grant_id))


def credit_postings(moves: Iterable[tuple[str, int]]) -> list[Posting]:
    """Write moves of micro-credits; a move of nothing is left out."""
    return [
        Posting(account=account, amount_micro=amount, unit=Unit.credits_micro)
        for account, amount in moves
        if amount
    ]


def cost_postings(cost: ProviderCost) -> list[Posting]:
    """Book what providers are owed, in micro-USD: the expected cost, and how far the actual one lies from it."""
    variance = cost.actual_usd_micro - cost.expected_usd_micro
    return _usd_postings(
        (PROVIDER_COST, cost.expected_usd_micro),
        (PROVIDER_VARIANCE, variance),
        (PROVIDER_PAYABLE, -cost.actual_usd_micro),
    )


def variance_postings(variance_usd_micro: int) -> list[Posting]:
    """Book that providers are owed more than was booked, or less, in micro-USD."""
    return _usd_postings((PROVIDER_VARIANCE, variance_usd_micro), (PROVIDER_PAYABLE, -variance_usd_micro))


def _usd_postings(*moves: tuple[str, int]) -> list[Posting]:
    return [
        Posting(account=account, amount_micro=amount, unit=Unit.usd_micro)
        for account, amount in moves
        if amount
    ]


@dataclass(frozen=True, slots=True)
class Subject:
    """Subject of an entry; ``key`` makes its id, together with its kind and the account."""

    key: str
    reason: str
    task_id: str | None = None
    reservation_id: str | None = None
    grant_id: str | None = None


def entry(
    account: Account,
    kind: EntryKind,
    amount_credits_micro: int,
    subject: Subject,
    postings: Sequence[Posting],
    slices: Iterable[Slice],
) -> EntryRecorded:
    """Write an entry; ``account`` is the state after it.

    Raises ValueError when the postings do not sum to zero per unit: the books take nothing else.
    """
    for unit in Unit:
        if sum(posting.amount_micro for posting in postings if posting.unit is unit):
            raise ValueError("the postings of an entry sum to zero per unit")
    return EntryRecorded(
        entry_id=derive_id(Prefix.entry, account.account_id, subject.key),
        account_id=account.account_id,
        kind=kind,
        amount_credits_micro=amount_credits_micro,
        postings=list(postings),
        lots=lots_of(slices),
        task_id=subject.task_id,
        reservation_id=subject.reservation_id,
        grant_id=subject.grant_id,
        reason=subject.reason,
        available_credits_micro=account.left_credits_micro,
        held_credits_micro=account.held_credits_micro,
    )
