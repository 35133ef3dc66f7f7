"""The ledger's gRPC: quotes, balances, statements. Each answer is about the one account it was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NoReturn

import grpc
import grpc.aio

from services.ledger.app import Balance, Ledger
from services.ledger.domain.books import StatementEntry
from winnow.contracts.errors import ErrorCode, WinnowError
from winnow.rpc.ledger.v1 import ledger_pb2 as pb
from winnow.rpc.ledger.v1 import ledger_pb2_grpc

SERVICE_NAME: Final = "winnow.rpc.ledger.v1.LedgerService"
CODE_KEY: Final = "winnow-code"
STATUS: Final[dict[ErrorCode, grpc.StatusCode]] = {
    ErrorCode.invalid_request: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.unknown_mode: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.out_of_bounds: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.unavailable: grpc.StatusCode.UNAVAILABLE,
}
"""Any other code is INTERNAL. The code itself travels in the trailing metadata ``winnow-code``."""


class LedgerServicer(ledger_pb2_grpc.LedgerServiceServicer):
    """Maps messages to use cases and errors to statuses."""

    def __init__(self, ledger: Ledger) -> None:
        """Serve the use cases."""
        self._ledger = ledger

    async def Quote(self, request: Any, context: Any) -> Any:  # noqa: N802 (named by the proto)
        """Price an order."""
        try:
            quote = self._ledger.quote(request.template, request.template_version, request.mode, request.k)
        except WinnowError as error:
            await _abort(context, error)
        return pb.QuoteResponse(
            price_per_output_credits_micro=quote.price_per_output_credits_micro,
            reserve_credits_micro=quote.reserve_credits_micro,
            price_rule=quote.price_rule,
        )

    async def Balance(self, request: Any, context: Any) -> Any:  # noqa: N802 (named by the proto)
        """Return a balance."""
        try:
            balance = await self._ledger.balance(request.account_id)
        except WinnowError as error:
            await _abort(context, error)
        return _balance(balance)

    async def Statement(self, request: Any, context: Any) -> Any:  # noqa: N802 (named by the proto)
        """Return a page of entries."""
        try:
            page = await self._ledger.statement(request.account_id, request.limit, request.cursor)
        except WinnowError as error:
            await _abort(context, error)
        return pb.StatementResponse(
            entries=[_entry(entry) for entry in page.entries],
            next_cursor="" if page.next_before is None else str(page.next_before),
        )

    async def ListEntries(self, request: Any, context: Any) -> Any:  # noqa: N802 (named by the proto)
        """Return a page of entries as a customer sees them."""
        try:
            found = await self._ledger.entries(request.account_id, request.limit, request.after_entry_id)
        except WinnowError as error:
            await _abort(context, error)
        return pb.ListEntriesResponse(entries=[_entry(entry) for entry in found])

    async def ListTaskEntries(self, request: Any, context: Any) -> Any:  # noqa: N802 (named by the proto)
        """Return the entries about a task."""
        try:
            found = await self._ledger.entries_of_task(request.account_id, request.task_id)
        except WinnowError as error:
            await _abort(context, error)
        return pb.ListTaskEntriesResponse(entries=[_entry(entry) for entry in found])

    async def FindEntry(self, request: Any, context: Any) -> Any:  # noqa: N802 (named by the proto)
        """Return an entry, or none while it is not booked."""
        try:
            found = await self._ledger.entry(request.account_id, request.entry_id, request.grant_id)
        except WinnowError as error:
            await _abort(context, error)
        return pb.FindEntryResponse(entry=_entry(found) if found else None)


def register(ledger: Ledger) -> Callable[[grpc.aio.Server], None]:
    """Return the step that adds the service to a server."""

    def add(server: grpc.aio.Server) -> None:
        ledger_pb2_grpc.add_LedgerServiceServicer_to_server(LedgerServicer(ledger), server)  # type: ignore[no-untyped-call]

    return add


def _balance(balance: Balance) -> Any:
    return pb.BalanceResponse(
        account_id=balance.account_id,
        available_credits_micro=balance.available_credits_micro,
        held_credits_micro=balance.held_credits_micro,
        settled_credits_micro=balance.settled_credits_micro,
        grants=[
            pb.Grant(
                grant_id=grant.grant_id,
                source=grant.source.value,
                granted_credits_micro=grant.granted_credits_micro,
                left_credits_micro=grant.left_credits_micro,
                expires_at=grant.expires_at.isoformat() if grant.expires_at else "",
            )
            for grant in balance.grants
        ],
    )


def _entry(statement_entry: StatementEntry) -> Any:
    entry = statement_entry.entry
    return pb.Entry(
        entry_id=entry.entry_id,
        kind=entry.kind.value,
        occurred_at=statement_entry.occurred_at.isoformat(),
        amount_credits_micro=entry.amount_credits_micro,
        task_id=entry.task_id or "",
        reservation_id=entry.reservation_id or "",
        grant_id=entry.grant_id or "",
        reason=entry.reason,
        available_credits_micro=entry.available_credits_micro,
        held_credits_micro=entry.held_credits_micro,
        postings=[
            pb.Posting(account=line.account, amount_micro=line.amount_micro, unit=line.unit.value)
            for line in entry.postings
        ],
    )


async def _abort(context: Any, error: WinnowError) -> NoReturn:
    status = STATUS.get(error.code, grpc.StatusCode.INTERNAL)
    await context.abort(status, error.detail, trailing_metadata=((CODE_KEY, error.code.value),))
    raise error
