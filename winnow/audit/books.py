"""The books, folded as entries stream by: every balance from its postings, nothing kept but sums."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from winnow.audit.costs import Payables
from winnow.audit.finding import Finding
from winnow.contracts.chart_of_accounts import available_of, held_of
from winnow.contracts.events import EntryRecorded, TaskSettled
from winnow.contracts.money import SignedMicro
from winnow.contracts.topics import MESSAGES
from winnow.contracts.upcast import UPCASTERS, MessageRegistry
from winnow.contracts.values import EntryKind, Unit

_BILLED: Final = {EntryKind.reserve: 0, EntryKind.settle: 1}


class AuditedEntry(EntryRecorded):
    """An entry whose balances may say anything: an entry below zero is a fault to name, not a text to refuse."""

    available_credits_micro: SignedMicro
    held_credits_micro: SignedMicro


AUDITED: Final = MessageRegistry((MESSAGES | {EntryRecorded.type_name(): AuditedEntry}).values(), UPCASTERS)
"""Reads every version of every message with the model that the audit judges it by."""


class NumberedEntry(AuditedEntry):
    """An entry with what its envelope says of it, read in one go."""

    event_id: str
    sequence: int


class NumberedBill(TaskSettled):
    """A task's bill with what its envelope says of it."""

    event_id: str
    subject: str
    sequence: int


@dataclass(slots=True)
class Balance:
    """An account after its last entry; amounts in micro-credits."""

    available_credits_micro: int = 0
    held_credits_micro: int = 0
    entries_count: int = 0
    sequence: int = 0


@dataclass(slots=True)
class Books:
    """Accounts, the entries of each in the order that the ledger wrote them."""

    balances: dict[str, Balance] = field(default_factory=dict)
    moved: dict[str, list[int]] = field(default_factory=dict)
    """Task → micro-credits reserved and settled by its entries."""
    bills_count: int = 0
    payables: Payables = field(default_factory=Payables)
    findings: list[Finding] = field(default_factory=list)

    def count(self, account_id: str, sequence: int) -> None:
        """Take the number of an event about an account; one that is left out is a fault."""
        balance = self._balance(account_id)
        if sequence != balance.sequence + 1:
            text = f"number {sequence} of the ledger's events follows number {balance.sequence}"
            gone = sequence - balance.sequence - 1
            text += f": {gone} events of ledger are missing" if gone > 0 else ""
            self._fault("sequences", account_id, text)
        balance.sequence = sequence

    def take_entry(self, entry: EntryRecorded) -> None:
        """Fold the next entry of an account."""
        balance = self._balance(entry.account_id)
        balance.entries_count += 1
        available, held = available_of(entry.account_id), held_of(entry.account_id)
        credits_micro = usd_micro = 0
        for posting in entry.postings:
            if posting.unit is Unit.credits_micro:
                credits_micro += posting.amount_micro
                if posting.account == available:
                    balance.available_credits_micro += posting.amount_micro
                elif posting.account == held:
                    balance.held_credits_micro += posting.amount_micro
            else:
                usd_micro += posting.amount_micro
        if credits_micro or usd_micro:
            for unit, total in ((Unit.credits_micro, credits_micro), (Unit.usd_micro, usd_micro)):
                if total:
                    text = f"its postings sum to {total} {unit.value}, not to 0"
                    self._fault("double entry", entry.entry_id, text)
        self._compare(entry, balance)
        self.payables.take(entry)
        if entry.task_id is not None and entry.kind in _BILLED:
            sums = self.moved.setdefault(entry.task_id, [0, 0])
            sums[_BILLED[entry.kind]] += entry.amount_credits_micro

    def take_bill(self, bill: TaskSettled) -> None:
        """Compare a bill with the entries about its task, which stand before it in the same block or earlier."""
        self.bills_count += 1
        reserved, settled = self.moved.pop(bill.task_id, [0, 0])
        for name, billed, booked in (
            ("reserved", bill.reserved_credits_micro, reserved),
            ("settled", bill.settled_credits_micro, settled),
        ):
            if billed != booked:
                text = f"the bill says {billed} micro-credits {name}, the entries say {booked}"
                self._fault("bill and books", bill.task_id, text)

    def counts(self) -> dict[str, int]:
        """Count what was folded, by its word in the report."""
        entries_count = sum(balance.entries_count for balance in self.balances.values())
        counts = {"accounts": len(self.balances), "entries": entries_count, "bills": self.bills_count}
        return {name: count for name, count in counts.items() if count}

    def _balance(self, account_id: str) -> Balance:
        balance = self.balances.get(account_id)
        if balance is None:
            balance = self.balances[account_id] = Balance()
        return balance

    def _compare(self, entry: EntryRecorded, balance: Balance) -> None:
        derived = (balance.available_credits_micro, balance.held_credits_micro)
        recorded = (entry.available_credits_micro, entry.held_credits_micro)
        if min(derived) < 0:
            text = f"after {entry.entry_id} available is {derived[0]} and held {derived[1]} micro-credits"
            self._fault("never below zero", entry.account_id, text)
        if derived != recorded:
            text = (
                f"{entry.entry_id} says available {recorded[0]}, held {recorded[1]}; the postings give"
                f" {derived[0]} and {derived[1]}"
            )
            self._fault("balance", entry.account_id, text)

    def _fault(self, check: str, subject: str, text: str) -> None:
        self.findings.append(Finding(check, subject, text))
