"""Questions to the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.ingest.clients.calls import call
from services.ingest.domain.answers import Balance, GrantLeft
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
