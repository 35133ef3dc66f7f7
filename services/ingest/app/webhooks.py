"""Webhook endpoints and their log; delivery owns both."""

from __future__ import annotations

from collections.abc import Sequence

from services.ingest.app.ports import Delivery
from services.ingest.domain.answers import END_TYPES, WebhookDelivery, WebhookEndpoint
from winnow.contracts.errors import ErrorCode, Refused


class Webhooks:
    """The use cases about webhooks, each within one account."""

    def __init__(self, delivery: Delivery) -> None:
        """Ask delivery."""
        self._delivery = delivery

    async def register(
        self, account_id: str, url: str, event_types: Sequence[str]
    ) -> tuple[WebhookEndpoint, str]:
        """Register an endpoint; raises Refused with ``url_not_allowed`` or for an unknown event type."""
        for place, event_type in enumerate(event_types):
            if event_type not in END_TYPES:
                raise Refused(
                    ErrorCode.invalid_request,
                    f"There is no such event type; known are: {', '.join(END_TYPES)}.",
                    pointer=f"event_types/{place}",
                )
        return await self._delivery.register_endpoint(account_id, url, event_types)

    async def endpoints(self, account_id: str) -> tuple[WebhookEndpoint, ...]:
        """Return the account's endpoints."""
        return await self._delivery.endpoints(account_id)

    async def delete(self, account_id: str, endpoint_id: str) -> None:
        """Delete an endpoint; raises NotFound."""
        await self._delivery.delete_endpoint(account_id, endpoint_id)

    async def deliveries(self, account_id: str, task_id: str, limit: int) -> tuple[WebhookDelivery, ...]:
        """Return the delivery log, newest first; an empty task id means all."""
        return await self._delivery.deliveries(account_id, task_id, limit)

    async def redeliver(self, account_id: str, delivery_id: str) -> WebhookDelivery:
        """Send a delivery again; raises NotFound."""
        return await self._delivery.redeliver(account_id, delivery_id)
