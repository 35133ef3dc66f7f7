"""The routes of webhook endpoints and the delivery log."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Query

from services.ingest.api.guard import Guard, Visitor, admitted, scoped
from services.ingest.api.other_answers import (
    DeliveryAnswer,
    DeliveryList,
    EndpointAnswer,
    EndpointList,
    NewEndpointAnswer,
)
from services.ingest.api.requests import EndpointRequest
from services.ingest.api.strict import strict_route
from services.ingest.app.webhooks import Webhooks
from services.ingest.domain.keys import Scope

_Id = Annotated[str, Path(max_length=64)]


def webhook_routes(guard: Guard, webhooks: Webhooks) -> APIRouter:
    """Build the routes."""
    router = APIRouter(prefix="/v1", tags=["webhooks"], route_class=strict_route(guard))
    writer = admitted(Scope.webhooks_write)
    extra = scoped(Scope.webhooks_write)

    @router.post("/webhook-endpoints", status_code=201, openapi_extra=extra)
    async def register_endpoint(body: EndpointRequest, visitor: Visitor = writer) -> NewEndpointAnswer:
        """Register an endpoint; its signing secret is shown this once."""
        endpoint, secret = await webhooks.register(visitor.account_id, body.url, body.event_types)
        return NewEndpointAnswer(**asdict(endpoint), secret=secret)

    @router.get("/webhook-endpoints", openapi_extra=extra)
    async def list_endpoints(visitor: Visitor = writer) -> EndpointList:
        """List the account's endpoints."""
        found = await webhooks.endpoints(visitor.account_id)
        return EndpointList(endpoints=[EndpointAnswer.model_validate(endpoint) for endpoint in found])

    @router.delete("/webhook-endpoints/{endpoint_id}", status_code=204, openapi_extra=extra)
    async def delete_endpoint(endpoint_id: _Id, visitor: Visitor = writer) -> None:
        """Delete an endpoint; what is still on its way to it is not sent."""
        await webhooks.delete(visitor.account_id, endpoint_id)

    @router.get("/webhook-deliveries", openapi_extra=extra)
    async def list_deliveries(
        visitor: Visitor = writer,
        task_id: Annotated[str, Query(max_length=64, description="Only of this task.")] = "",
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> DeliveryList:
        """Read the delivery log, newest first."""
        found = await webhooks.deliveries(visitor.account_id, task_id, limit)
        return DeliveryList(deliveries=[DeliveryAnswer.model_validate(delivery) for delivery in found])

    @router.post("/webhook-deliveries/{delivery_id}/redeliver", status_code=202, openapi_extra=extra)
    async def redeliver(delivery_id: _Id, visitor: Visitor = writer) -> DeliveryAnswer:
        """Send a delivery again now."""
        return DeliveryAnswer.model_validate(await webhooks.redeliver(visitor.account_id, delivery_id))

    return router
