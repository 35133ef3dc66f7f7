"""A decision in the making: the messages so far, and the account they lead to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from services.ledger.domain.account import Account, Ended, Refusal, Slice
from services.ledger.domain.books import Subject, entry
from services.ledger.domain.evolve import evolve
from services.ledger.domain.records import CommandRefused
from services.ledger.domain.retired import Found
from winnow.contracts.commands import LedgerCommand
from winnow.contracts.envelope import Event, Message
from winnow.contracts.errors import ErrorCode
from winnow.contracts.values import EntryKind, Posting


class LedgerDecisionBuilder:
    """Collects messages and folds each event at once, so that the next step sees it."""

    __slots__ = ("account", "found", "messages", "now")

    def __init__(self, account: Account, now: datetime, found: Found) -> None:
        """Start from a state at a time, with the entities that the decision reads."""
        self.account = account
        self.now = now
        self.found = found
        self.messages: list[Message] = []

    def ended(self, reservation_id: str) -> Ended | None:
        """Return a reservation that has ended; None for one that is open or unknown."""
        if reservation_id in self.account.open:
            return None
        retired = self.found[reservation_id]
        return retired.ended if retired else None

    def refusal(self, reservation_id: str) -> Refusal | None:
        """Return how a reservation was refused; None for any other."""
        if reservation_id in self.account.open:
            return None
        retired = self.found[reservation_id]
        return retired.refusal if retired else None

    def add(self, event: Event) -> None:
        """Append an event and fold it."""
        self.messages.append(event)
        self.account = evolve(self.account, event, self.now)

    def book(
        self,
        kind: EntryKind,
        amount_credits_micro: int,
        subject: Subject,
        postings: Sequence[Posting],
        slices: Iterable[Slice] = (),
    ) -> None:
        """Append the entry of the change that was added just before."""
        self.add(entry(self.account, kind, amount_credits_micro, subject, postings, slices))

    def refuse(self, command: LedgerCommand, subject_id: str, code: ErrorCode, reason: str) -> None:
        """Record that a command changed nothing."""
        self.add(CommandRefused(command=command.type, subject_id=subject_id, code=code, reason=reason))
