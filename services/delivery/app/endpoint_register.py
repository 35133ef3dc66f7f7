"""Webhook endpoints: register, list, delete; everything bounded to one account."""

from __future__ import annotations

from collections.abc import Sequence

from services.delivery.app.ports import Endpoints, Sender
from services.delivery.domain.endpoints import Endpoint, checked_event_types, endpoint_id_at, secret_of
from winnow.contracts.errors import NotFound
from winnow.runtime.clock import Clock
from winnow.runtime.log import get_logger

_log = get_logger(__name__)


class EndpointRegister:
    """The endpoints of accounts."""

    def __init__(
        self, endpoints: Endpoints, sender: Sender, clock: Clock, *, signing_key: bytes, endpoints_max: int
    ) -> None:
        """Allow ``endpoints_max`` endpoints an account; secrets are derived from ``signing_key``."""
        self._endpoints = endpoints
        self._sender = sender
        self._clock = clock
        self._signing_key = signing_key
        self._endpoints_max = endpoints_max

    async def register(
        self, account_id: str, url: str, event_types: Sequence[str], randomness: bytes
    ) -> tuple[Endpoint, str]:
        """Register an endpoint; return it with its signing secret, which is shown this once.

        Raises Refused (url_not_allowed, invalid_request, out_of_bounds).
        """
        types = checked_event_types(event_types)
        await self._sender.check(url)
        now = self._clock.now()
        endpoint = Endpoint(
            endpoint_id=endpoint_id_at(now, randomness),
            account_id=account_id,
            url=url,
            event_types=types,
            enabled=True,
            created_at=now,
        )
        await self._endpoints.add(endpoint, self._endpoints_max)
        _log.info("delivery.endpoint.registered", endpoint_id=endpoint.endpoint_id, account_id=account_id)
        return endpoint, secret_of(self._signing_key, endpoint.endpoint_id)

    async def of_account(self, account_id: str) -> list[Endpoint]:
        """Return an account's endpoints, oldest first."""
        return await self._endpoints.of_account(account_id)

    async def delete(self, account_id: str, endpoint_id: str) -> None:
        """Remove an endpoint; what is pending for it ends. Raises NotFound."""
        if not await self._endpoints.remove(account_id, endpoint_id):
            raise NotFound("The account has no such endpoint.")
        _log.info("delivery.endpoint.deleted", endpoint_id=endpoint_id, account_id=account_id)
