"""The routes of webhook endpoints and the delivery log."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Query

from services.ingest.api.auth import Guard, Principal, admitted, scoped
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
    async def register_endpoint(body: EndpointRequest, principal: Principal = writer) -> NewEndpointAnswer:
        """Register an endpoint; its signing secret is shown this once."""
        endpoint, secret = await webhooks.register(principal.account_id, body.url, body.event_types)
        return NewEndpointAnswer(**asdict(endpoint), secret=secret)

    @router.get("/webhook-endpoints", openapi_extra=extra)
    async def list_endpoints(principal: Principal = writer) -> EndpointList:
        """List the account's endpoints."""
        found = await webhooks.endpoints(principal.account_id)
        return EndpointList(endpoints=[EndpointAnswer.model_validate(endpoint) for endpoint in found])

    @router.delete("/webhook-endpoints/{endpoint_id}", status_code=204, openapi_extra=extra)
    async def delete_endpoint(endpoint_id: _Id, principal: Principal = writer) -> None:
        """Delete an endpoint; what is still on its way to it is not sent."""
        await webhooks.delete(principal.account_id, endpoint_id)

    @router.get("/webhook-deliveries", openapi_extra=extra)
    async def list_deliveries(
        principal: Principal = writer,
        task_id: Annotated[str, Query(max_length=64, description="Only of this task.")] = "",
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> DeliveryList:
        """Read the delivery log, newest first."""
        found = await webhooks.deliveries(principal.account_id, task_id, limit)
        return DeliveryList(deliveries=[DeliveryAnswer.model_validate(delivery) for delivery in found])

    @router.post("/webhook-deliveries/{delivery_id}/redeliver", status_code=202, openapi_extra=extra)
    async def redeliver(delivery_id: _Id, principal: Principal = writer) -> DeliveryAnswer:
        """Send a delivery again now."""
        return DeliveryAnswer.model_validate(await webhooks.redeliver(principal.account_id, delivery_id))

    return router
