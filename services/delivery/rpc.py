"""The gRPC service of delivery: stub to use case and back, error code to status."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import grpc
import grpc.aio

from services.delivery.app.delivery_log import DeliveryLog, LoggedWebhook
from services.delivery.app.endpoint_register import EndpointRegister
from services.delivery.app.outputs import Outputs
from services.delivery.domain.endpoints import Endpoint
from winnow.contracts.errors import ErrorCode, WinnowError
from winnow.rpc.delivery.v1 import delivery_pb2 as pb
from winnow.rpc.delivery.v1 import delivery_pb2_grpc
from winnow.runtime.clock import random_bytes

T = TypeVar("T")
SERVICE_NAME: Final = "winnow.rpc.delivery.v1.DeliveryService"
STATUS: Final[dict[ErrorCode, grpc.StatusCode]] = {
    ErrorCode.not_found: grpc.StatusCode.NOT_FOUND,
    ErrorCode.invalid_request: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.out_of_bounds: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.url_not_allowed: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.unavailable: grpc.StatusCode.UNAVAILABLE,
}
"""Any other code is INTERNAL. The code itself travels in the trailing metadata ``winnow-code``."""

CODE_KEY: Final = "winnow-code"


class DeliveryServicer(delivery_pb2_grpc.DeliveryServiceServicer):
    """Answers for one account at a time: the caller has authenticated it."""

    def __init__(
        self,
        outputs: Outputs,
        endpoints: EndpointRegister,
        log: DeliveryLog,
        randomness: Callable[[int], bytes] = random_bytes,
    ) -> None:
        """Serve the use cases; ``randomness`` makes endpoint ids."""
        self._outputs = outputs
        self._endpoints = endpoints
        self._log = log
        self._randomness = randomness

    async def RenewLinks(self, request: Any, context: Any) -> Any:  # noqa: N802 (named by the proto)
        """Sign fresh links to a task's outputs."""
        links = await _answer(
            context,
            self._outputs.renew_links(request.account_id, request.task_id, request.expires_in_s),
        )
        return pb.RenewLinksResponse(
            links=[
                pb.Link(
                    output_id=link.output_id,
                    url=link.url,
                    thumbnail_url=link.thumbnail_url,
                    expires_in_s=link.expires_in_s,
                )
                for link in links
            ]
        )

    async def RegisterEndpoint(self, request: Any, context: Any) -> Any:  # noqa: N802 (named by the proto)
        """Register an endpoint; its secret is in this answer only."""
        endpoint, secret = await _answer(
            context,
            self._endpoints.register(
                request.account_id, request.url, list(request.event_types), self._randomness(10)
            ),
        )
        return pb.RegisterEndpointResponse(endpoint=_endpoint(endpoint), secret=secret)

    async def ListEndpoints(self, request: Any, context: Any) -> Any:  # noqa: N802 (named by the proto)
        """List an account's endpoints."""
        endpoints = await _answer(context, self._endpoints.of_account(request.account_id))
        return pb.ListEndpointsResponse(endpoints=[_endpoint(endpoint) for endpoint in endpoints])

    async def DeleteEndpoint(self, request: Any, context: Any) -> Any:  # noqa: N802 (named by the proto)
        """Remove an endpoint."""
        await _answer(context, self._endpoints.delete(request.account_id, request.endpoint_id))
        return pb.DeleteEndpointResponse()

    async def ListDeliveries(self, request: Any, context: Any) -> Any:  # noqa: N802 (named by the proto)
        """Show the delivery log."""
        lines = await _answer(
            context,
            self._log.lines(request.account_id, request.task_id, request.limit),
        )
        return pb.ListDeliveriesResponse(deliveries=[_delivery(line) for line in lines])

    async def Redeliver(self, request: Any, context: Any) -> Any:  # noqa: N802 (named by the proto)
        """Send a delivery again now."""
        line = await _answer(context, self._log.redeliver(request.account_id, request.delivery_id))
        return pb.RedeliverResponse(delivery=_delivery(line))


def register(servicer: DeliveryServicer) -> Callable[[grpc.aio.Server], None]:
    """Return the function that adds the servicer to a server."""
    return lambda server: delivery_pb2_grpc.add_DeliveryServiceServicer_to_server(  # type: ignore[no-untyped-call]
        servicer, server
    )


async def _answer(context: Any, asked: Awaitable[T]) -> T:
    """Await a use case; an error of ours becomes its status."""
    try:
        return await asked
    except WinnowError as error:
        status = STATUS.get(error.code, grpc.StatusCode.INTERNAL)
        await context.abort(status, error.detail, ((CODE_KEY, error.code.value),))
        raise


def _endpoint(endpoint: Endpoint) -> Any:
    return pb.Endpoint(
        endpoint_id=endpoint.endpoint_id,
        url=endpoint.url,
        event_types=list(endpoint.event_types),
        enabled=endpoint.enabled,
        created_at=endpoint.created_at.isoformat(),
    )


def _delivery(line: LoggedWebhook) -> Any:
    webhook = line.webhook
    return pb.Delivery(
        delivery_id=webhook.delivery_id,
        endpoint_id=webhook.endpoint_id,
        task_id=line.task_id,
        event_type=line.event_type,
        state=webhook.state.value,
        attempts=[
            pb.DeliveryAttempt(
                at=attempt.at.isoformat(),
                status=attempt.status,
                reason=attempt.reason.value,
                latency_ms=attempt.latency_ms,
            )
            for attempt in webhook.attempts
        ],
        next_attempt_at=webhook.next_at.isoformat() if webhook.next_at else "",
    )
