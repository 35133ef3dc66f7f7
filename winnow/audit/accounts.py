"""An account's balance rebuilt from its entries, and the faults of the entries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from winnow.audit.finding import Finding
from winnow.contracts.events import EntryRecorded
from winnow.contracts.money import SignedMicro
from winnow.contracts.topics import MESSAGES
from winnow.contracts.upcast import UPCASTERS, MessageRegistry
from winnow.contracts.values import Unit


class AuditedEntry(EntryRecorded):
    """An entry whose balances may say anything: an entry below zero is a fault to name, not a text to refuse."""

    available_credits_micro: SignedMicro
    held_credits_micro: SignedMicro


AUDITED: Final = MessageRegistry((MESSAGES | {EntryRecorded.type_name(): AuditedEntry}).values(), UPCASTERS)
"""Reads every version of every message with the model that the audit judges it by."""


@dataclass(slots=True)
class AccountFold:
    """An account's balance as the postings of its entries tell it; amounts in micro-credits by account of the books."""

    account_id: str
    entries: dict[int, EntryRecorded] = field(default_factory=dict)

    def available_credits_micro(self) -> int:
        """Return what can be spent."""
        return self._sum(available_of(self.account_id))

    def held_credits_micro(self) -> int:
        """Return what is held for open tasks."""
        return self._sum(held_of(self.account_id))

    def _sum(self, account: str) -> int:
        return sum(
            posting.amount_micro
            for entry in self.entries.values()
            for posting in entry.postings
            if posting.account == account and posting.unit is Unit.credits_micro
        )

    def in_order(self) -> Iterator[EntryRecorded]:
        """Yield the entries in the order the ledger wrote them."""
        for sequence in sorted(self.entries):
            yield self.entries[sequence]


def available_of(account_id: str) -> str:
    """Name the account of the books that holds what can be spent."""
    return f"customer:{account_id}:available"


def held_of(account_id: str) -> str:
    """Name the account of the books that holds what is reserved."""
    return f"customer:{account_id}:held"


def account_findings(account: AccountFold) -> Iterator[Finding]:
    """Yield the faults of an account: postings that do not balance, balances below zero or that differ."""
    available = held = 0
    names = available_of(account.account_id), held_of(account.account_id)
    for entry in account.in_order():
        sums: dict[Unit, int] = defaultdict(int)
        moved: dict[str, int] = defaultdict(int)
        for posting in entry.postings:
            sums[posting.unit] += posting.amount_micro
            if posting.unit is Unit.credits_micro:
                moved[posting.account] += posting.amount_micro
        for unit, total in sums.items():
            if total:
                text = f"its postings sum to {total} {unit.value}, not to 0"
                yield Finding("double entry", entry.entry_id, text)
        available, held = available + moved[names[0]], held + moved[names[1]]
        if min(available, held) < 0:
            text = f"after {entry.entry_id} available is {available} and held {held} micro-credits"
            yield Finding("never below zero", account.account_id, text)
        if (available, held) != (entry.available_credits_micro, entry.held_credits_micro):
            text = (
                f"{entry.entry_id} says available {entry.available_credits_micro}, held {entry.held_credits_micro};"
                f" the postings give {available} and {held}"
            )
            yield Finding("balance", account.account_id, text)
