"""The router's gRPC: cost quotes, offerings and their health, drain, queue position."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeAlias, TypeVar

import grpc
import grpc.aio

from services.router.app.queries import OfferingView
from services.router.app.router import Router
from winnow.contracts.errors import ErrorCode, WinnowError
from winnow.rpc.router.v1 import router_pb2 as pb
from winnow.rpc.router.v1 import router_pb2_grpc as pb_grpc

SERVICE_NAME: Final = "winnow.rpc.router.v1.RouterService"
_STATUS: Final = {
    ErrorCode.not_found: grpc.StatusCode.NOT_FOUND,
    ErrorCode.unknown_mode: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.out_of_bounds: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.no_offering: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorCode.unavailable: grpc.StatusCode.UNAVAILABLE,
}

T = TypeVar("T")
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class RouterServicer(pb_grpc.RouterServiceServicer):
    """Maps requests to the app and its answers to replies."""

    def __init__(self, router: Router) -> None:
        """Answer for one router."""
        self._router = router

    async def Quote(self, request: Any, context: Context) -> Any:  # noqa: N802 (gRPC's form)
        """Quote an order."""
        quote = await _answer(
            context,
            lambda: self._router.queries.quote(
                request.template, request.template_version, request.mode, request.k
            ),
        )
        return pb.QuoteResponse(
            expected_cost_usd_micro=quote.expected_cost_usd_micro,
            cheapest_cost_usd_micro=quote.cheapest_cost_usd_micro,
            candidates_expected=quote.candidates_expected,
            cost_cap_default_usd_micro=quote.cost_cap_default_usd_micro,
        )

    async def Offerings(self, request: Any, context: Context) -> Any:  # noqa: N802
        """List offerings."""
        views = await _answer(context, lambda: self._router.queries.offerings(request.capability))
        return pb.OfferingsResponse(offerings=[_offering(view) for view in views])

    async def Drain(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Drain an offering, or take it back."""
        view = await _answer(
            context,
            lambda: self._router.drain_offering(request.offering, drained=request.drained),
        )
        return pb.DrainResponse(offering=_offering(view))

    async def QueuePosition(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Return where a task's next attempt waits."""
        position, total = await _answer(
            context, lambda: self._router.queries.queue_position(request.task_id, request.account_id)
        )
        return pb.QueuePositionResponse(position=position, waiting_total=total)


def _offering(view: OfferingView) -> Any:
    offering, health = view.offering, view.health
    return pb.Offering(
        offering=offering.name,
        provider=offering.provider,
        model=offering.model,
        model_version=offering.model_version,
        capabilities=list(offering.capabilities),
        price_usd_micro=view.price_usd_micro,
        breaker=view.breaker,
        success_rate_ppm=health.success_rate_ppm,
        pass_rate_ppm=view.pass_rate_ppm,
        latency_ms=round(health.latency_ms),
        in_flight=health.in_flight,
        concurrency_limit=int(health.limit),
        drained=health.drained,
    )


async def _answer(context: Context, ask: Callable[[], T]) -> T:
    try:
        return ask()
    except WinnowError as error:
        await _abort(context, error)


async def _abort(context: Context, error: WinnowError) -> NoReturn:
    status = _STATUS.get(error.code, grpc.StatusCode.INTERNAL)
    await context.abort(status, f"{error.code.value}: {error.detail}")
    raise AssertionError  # abort raises


def register(router: Router) -> Callable[[grpc.aio.Server], None]:
    """Return the function that adds the servicer to a server."""

    def add(server: grpc.aio.Server) -> None:
        pb_grpc.add_RouterServiceServicer_to_server(RouterServicer(router), server)  # type: ignore[no-untyped-call]

    return add
