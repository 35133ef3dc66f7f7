"""Links and webhooks, from delivery."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.ingest.clients.calls import call
from services.ingest.domain.answers import DeliveryAttempt, Link, WebhookDelivery, WebhookEndpoint
from winnow.rpc.delivery.v1 import delivery_pb2, delivery_pb2_grpc

if TYPE_CHECKING:
    import grpc.aio


class DeliveryClient:
    """Delivery's gRPC service."""

    def __init__(self, channel: grpc.aio.Channel, timeout_s: float) -> None:
        """Call over a channel with a deadline."""
        self._stub = delivery_pb2_grpc.DeliveryServiceStub(channel)  # type: ignore[no-untyped-call]
        self._timeout_s = timeout_s

    async def renew_links(self, account_id: str, task_id: str, expires_in_s: int) -> tuple[Link, ...]:
        """Sign fresh links to a task's outputs."""
        request = delivery_pb2.RenewLinksRequest(
            account_id=account_id, task_id=task_id, expires_in_s=expires_in_s
        )
        answer: delivery_pb2.RenewLinksResponse = await call(
            "delivery", self._stub.RenewLinks, request, self._timeout_s
        )
        return tuple(
            Link(link.output_id, link.url, link.thumbnail_url, link.expires_in_s) for link in answer.links
        )

    async def register_endpoint(
        self, account_id: str, url: str, event_types: Sequence[str]
    ) -> tuple[WebhookEndpoint, str]:
        """Register an endpoint; return it and its secret."""
        request = delivery_pb2.RegisterEndpointRequest(
            account_id=account_id, url=url, event_types=event_types
        )
        answer: delivery_pb2.RegisterEndpointResponse = await call(
            "delivery", self._stub.RegisterEndpoint, request, self._timeout_s
        )
        return _endpoint(answer.endpoint), answer.secret

    async def endpoints(self, account_id: str) -> tuple[WebhookEndpoint, ...]:
        """Return an account's endpoints."""
        request = delivery_pb2.ListEndpointsRequest(account_id=account_id)
        answer: delivery_pb2.ListEndpointsResponse = await call(
            "delivery", self._stub.ListEndpoints, request, self._timeout_s
        )
        return tuple(map(_endpoint, answer.endpoints))

    async def delete_endpoint(self, account_id: str, endpoint_id: str) -> None:
        """Delete an endpoint."""
        request = delivery_pb2.DeleteEndpointRequest(account_id=account_id, endpoint_id=endpoint_id)
        await call("delivery", self._stub.DeleteEndpoint, request, self._timeout_s)

    async def deliveries(self, account_id: str, task_id: str, limit: int) -> tuple[WebhookDelivery, ...]:
        """Return the delivery log, newest first."""
        request = delivery_pb2.ListDeliveriesRequest(account_id=account_id, task_id=task_id, limit=limit)
        answer: delivery_pb2.ListDeliveriesResponse = await call(
            "delivery", self._stub.ListDeliveries, request, self._timeout_s
        )
        return tuple(map(_delivery, answer.deliveries))

    async def redeliver(self, account_id: str, delivery_id: str) -> WebhookDelivery:
        """Send a delivery again."""
        request = delivery_pb2.RedeliverRequest(account_id=account_id, delivery_id=delivery_id)
        answer: delivery_pb2.RedeliverResponse = await call(
            "delivery", self._stub.Redeliver, request, self._timeout_s
        )
        return _delivery(answer.delivery)


def _endpoint(endpoint: delivery_pb2.Endpoint) -> WebhookEndpoint:
    return WebhookEndpoint(
        endpoint.endpoint_id, endpoint.url, tuple(endpoint.event_types), endpoint.enabled, endpoint.created_at
    )


def _delivery(delivery: delivery_pb2.Delivery) -> WebhookDelivery:
    return WebhookDelivery(
        delivery_id=delivery.delivery_id,
        endpoint_id=delivery.endpoint_id,
        task_id=delivery.task_id,
        event_type=delivery.event_type,
        state=delivery.state,
        attempts=tuple(
            DeliveryAttempt(attempt.at, attempt.status, attempt.reason, attempt.latency_ms)
            for attempt in delivery.attempts
        ),
        next_attempt_at=delivery.next_attempt_at or None,
    )
