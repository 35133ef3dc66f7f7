"""Questions to the router."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.ingest.clients.calls import call
from services.ingest.domain.answers import Offering
from services.ingest.domain.orders import CostQuote
from winnow.contracts.values import Mode, TemplateRef
from winnow.rpc.router.v1 import router_pb2, router_pb2_grpc

if TYPE_CHECKING:
    import grpc.aio


class RouterClient:
    """The router's gRPC service."""

    def __init__(self, channel: grpc.aio.Channel, timeout_s: float) -> None:
        """Call over a channel with a deadline."""
        self._stub = router_pb2_grpc.RouterServiceStub(channel)  # type: ignore[no-untyped-call]
        self._timeout_s = timeout_s

    async def quote(self, template: TemplateRef, mode: Mode, k: int) -> CostQuote:
        """Return what an order costs at providers."""
        request = router_pb2.QuoteRequest(
            template=template.name, template_version=template.version, mode=mode.value, k=k
        )
        answer: router_pb2.QuoteResponse = await call("router", self._stub.Quote, request, self._timeout_s)
        return CostQuote(
            expected_cost_usd_micro=answer.expected_cost_usd_micro,
            cheapest_cost_usd_micro=answer.cheapest_cost_usd_micro,
            cost_cap_default_usd_micro=answer.cost_cap_default_usd_micro,
            candidates_expected_count=answer.candidates_expected,
        )

    async def offerings(self, capability: str) -> tuple[Offering, ...]:
        """Return the offerings."""
        request = router_pb2.OfferingsRequest(capability=capability)
        answer: router_pb2.OfferingsResponse = await call(
            "router", self._stub.Offerings, request, self._timeout_s
        )
        return tuple(
            Offering(
                offering=offering.offering,
                provider=offering.provider,
                model=offering.model,
                model_version=offering.model_version,
                capabilities=tuple(offering.capabilities),
                price_usd_micro=offering.price_usd_micro,
                breaker=offering.breaker,
                success_rate_ppm=offering.success_rate_ppm,
                pass_rate_ppm=offering.pass_rate_ppm,
                latency_ms=offering.latency_ms,
                in_flight_count=offering.in_flight,
                concurrency_limit=offering.concurrency_limit,
                drained=offering.drained,
            )
            for offering in answer.offerings
        )
