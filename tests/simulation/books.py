"""A ledger of its own, kept from the published entries alone: naive, and in nothing the ledger's code."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.lots import Lots, expect


@dataclass
class Account:
    """Sum of the entries of an account, in micro-credits."""

    balances: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    held: dict[str, int] = field(default_factory=dict)
    ended: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Reservation → how it ended and what it was charged."""
    refunded: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    grants: dict[str, int] = field(default_factory=dict)
    lots: Lots = field(default_factory=Lots)


class Books:
    """Every account, entry by entry; the numbers are those of the cases in docs/ledger.md."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = defaultdict(Account)
        self.house: dict[str, int] = defaultdict(int)
        self.costs: dict[str, int] = defaultdict(int)
        self.payable: dict[str, int] = defaultdict(int)
        """Task → what its entries say that providers are owed, in micro-USD."""
        self.commands: dict[str, dict[str, Any]] = {}
        self.grants: dict[str, dict[str, Any]] = {}
        self.entries: set[str] = set()

    def command(self, command: dict[str, Any]) -> None:
        """Keep what was asked, so that an entry can be held against it."""
        self.commands[command["command_id"]] = command
        if command["type"] == "GrantCredits":
            self.grants.setdefault(command["grant_id"], command)

    def entry(self, entry: dict[str, Any]) -> None:
        """Fold an entry and check every balance after it."""
        expect(entry["entry_id"] not in self.entries, f"entry {entry['entry_id']} was written twice")
        self.entries.add(entry["entry_id"])
        account = self.accounts[entry["account_id"]]
        units: dict[str, int] = defaultdict(int)
        for posting in entry["postings"]:
            units[posting["unit"]] += posting["amount_micro"]
            self._post(account, entry["account_id"], posting)
            if posting["account"] == "house:provider_payable":
                self.payable[entry["task_id"]] -= posting["amount_micro"]
        expect(not any(units.values()), f"entry {entry['entry_id']} does not sum to zero: {dict(units)}")
        self._by_kind(account, entry)
        account.lots.entry(entry, self.grants)
        available, held = account.balances["available"], account.balances["held"]
        expect(available >= 0 and held >= 0, f"{entry['account_id']}: {available} available, {held} held")
        expect(held == sum(account.held.values()), f"{entry['account_id']}: holds do not sum to what is held")
        expect(
            (available, held) == (entry["available_credits_micro"], entry["held_credits_micro"]),
            f"{entry['account_id']}: entries come to {available}/{held}, the entry says otherwise",
        )

    def _post(self, account: Account, account_id: str, posting: dict[str, Any]) -> None:
        name, amount = posting["account"], posting["amount_micro"]
        if posting["unit"] == "usd_micro":
            self.costs[name] += amount
        elif name.startswith("customer:"):
            _, owner, kind = name.split(":")
            expect(owner == account_id, f"an entry of {account_id} moves credits of {owner}")
            account.balances[kind] += amount
        else:
            self.house[name] += amount

    def _by_kind(self, account: Account, entry: dict[str, Any]) -> None:
        kind, hold, amount = entry["kind"], entry["reservation_id"], entry["amount_credits_micro"]
        if kind == "grant":
            expect(entry["grant_id"] not in account.grants, f"grant {entry['grant_id']} was given twice")
            account.grants[entry["grant_id"]] = amount
        elif kind == "reserve":
            expect(hold not in account.held and hold not in account.ended, f"{hold} was reserved twice")
            account.held[hold] = amount
        elif kind in {"settle", "release", "expire_reservation"}:
            self._end(account, entry)
        elif kind == "refund":
            charged = account.ended.get(hold, ("", 0))[1]
            account.refunded[hold] += amount
            expect(account.refunded[hold] <= charged, f"{hold}: refunded more than the {charged} charged")

    @staticmethod
    def _end(account: Account, entry: dict[str, Any]) -> None:
        hold, late = entry["reservation_id"], entry["amount_credits_micro"] == 0
        if late and hold in account.ended:
            expect(account.ended[hold][0] == "expire_reservation", f"{hold} ended twice")
            return
        expect(hold in account.held, f"{hold} ends and was not held, or ended twice")
        held = account.held.pop(hold)
        charged = entry["amount_credits_micro"] if entry["kind"] == "settle" else 0
        expect(charged <= held, f"{hold}: charged {charged} of {held}")
        account.ended[hold] = (entry["kind"], charged)
