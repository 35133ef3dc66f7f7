"""Questions to the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from services.ingest.clients.calls import call
from services.ingest.domain.answers import Balance, EntryView, GrantLeft
from services.ingest.domain.orders import Price
from winnow.contracts.values import Mode, TemplateRef
from winnow.rpc.ledger.v1 import ledger_pb2, ledger_pb2_grpc

if TYPE_CHECKING:
    import grpc.aio


class LedgerClient:
    """The ledger's gRPC service."""

    def __init__(self, channel: grpc.aio.Channel, timeout_s: float) -> None:
        """Call over a channel with a deadline."""
        self._stub = ledger_pb2_grpc.LedgerServiceStub(channel)  # type: ignore[no-untyped-call]
        self._timeout_s = timeout_s

    async def quote(self, template: TemplateRef, mode: Mode, k: int) -> Price:
        """Price an order."""
        request = ledger_pb2.QuoteRequest(
            template=template.name, template_version=template.version, mode=mode.value, k=k
        )
        answer: ledger_pb2.QuoteResponse = await call("ledger", self._stub.Quote, request, self._timeout_s)
        return Price(answer.price_per_output_credits_micro, answer.reserve_credits_micro, answer.price_rule)

    async def balance(self, account_id: str) -> Balance:
        """Return a balance."""
        request = ledger_pb2.BalanceRequest(account_id=account_id)
        answer: ledger_pb2.BalanceResponse = await call(
            "ledger", self._stub.Balance, request, self._timeout_s
        )
        return Balance(
            account_id=account_id,
            available_credits_micro=answer.available_credits_micro,
            held_credits_micro=answer.held_credits_micro,
            settled_credits_micro=answer.settled_credits_micro,
            grants=tuple(
                GrantLeft(
                    grant.grant_id,
                    grant.source,
                    grant.granted_credits_micro,
                    grant.left_credits_micro,
                    grant.expires_at or None,
                )
                for grant in answer.grants
            ),
        )

    async def entries(self, account_id: str, limit: int, after: str) -> list[EntryView]:
        """Return entries of the books, newest first; none after an entry that the account does not have."""
        request = ledger_pb2.ListEntriesRequest(account_id=account_id, limit=limit, after_entry_id=after)
        answer: ledger_pb2.ListEntriesResponse = await call(
            "ledger", self._stub.ListEntries, request, self._timeout_s
        )
        return _entries(account_id, answer.entries)

    async def entries_of_task(self, account_id: str, task_id: str) -> list[EntryView]:
        """Return the entries about one task, in order."""
        request = ledger_pb2.ListTaskEntriesRequest(account_id=account_id, task_id=task_id)
        answer: ledger_pb2.ListTaskEntriesResponse = await call(
            "ledger", self._stub.ListTaskEntries, request, self._timeout_s
        )
        return _entries(account_id, answer.entries)

    async def entry(self, account_id: str, entry_id: str) -> EntryView | None:
        """Return an entry by its id; None while it is not booked."""
        return await self._find(ledger_pb2.FindEntryRequest(account_id=account_id, entry_id=entry_id))

    async def grant_entry(self, account_id: str, grant_id: str) -> EntryView | None:
        """Return the entry that books a grant; None while it is not booked."""
        return await self._find(ledger_pb2.FindEntryRequest(account_id=account_id, grant_id=grant_id))

    async def _find(self, request: ledger_pb2.FindEntryRequest) -> EntryView | None:
        answer: ledger_pb2.FindEntryResponse = await call(
            "ledger", self._stub.FindEntry, request, self._timeout_s
        )
        return _entries(request.account_id, [answer.entry])[0] if answer.HasField("entry") else None


def _entries(account_id: str, entries: Iterable[ledger_pb2.Entry]) -> list[EntryView]:
    return [
        EntryView(
            entry_id=entry.entry_id,
            account_id=account_id,
            kind=entry.kind,
            amount_credits_micro=entry.amount_credits_micro,
            occurred_at=datetime.fromisoformat(entry.occurred_at),
            task_id=entry.task_id or None,
            grant_id=entry.grant_id or None,
            reason=entry.reason,
            available_credits_micro=entry.available_credits_micro,
            held_credits_micro=entry.held_credits_micro,
        )
        for entry in entries
    ]
