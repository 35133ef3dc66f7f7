"""Common part of the adapters: a base address, a key, collecting images, telling refusals apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.router.clients.wire import (
    NotDeliveredError,
    Reply,
    ReplyLostError,
    Wire,
    is_allowed,
)
from services.router.domain.calls import CallRefused, CollectFailed, ImageRef, Unknown
from services.router.domain.catalogue import Offering
from winnow.contracts.values import OutcomeClass

PERMANENT: Final = frozenset({400, 404, 409, 410, 413, 415, 422})
"""Refusals of the request itself: the same one will be refused there again."""
_REASONS: Final = {
    400: "request_refused",
    401: "unauthorized",
    402: "no_provider_credit",
    403: "forbidden",
    404: "model_not_found",
    409: "conflict",
    410: "model_retired",
    413: "request_too_large",
    422: "request_refused",
    429: "rate_limited",
}


class Adapter:
    """Base of the adapters. ``scheme`` is the word before the key in ``Authorization``."""

    scheme = "Bearer"

    def __init__(self, wire: Wire, base_url: str, key: str) -> None:
        """Talk to ``base_url`` with ``key``; the key goes to that address only, never to links."""
        self._wire = wire
        self._base_url = base_url.rstrip("/")
        self._key = key

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"{self.scheme} {self._key}", "Accept": "application/json"}

    def _may_follow(self, offering: Offering, url: str) -> bool:
        return is_allowed(url, base_url=self._base_url, hosts=offering.hosts)

    def _own_link(self, url: object, fallback: str) -> str:
        """Take a link of a reply only if the key may be sent there: at the base address."""
        if isinstance(url, str) and is_allowed(url, base_url=self._base_url, hosts=()):
            return url
        return fallback

    async def collect(self, offering: Offering, image: ImageRef) -> bytes:
        """Fetch an image; raises CollectFailed."""
        if image.content is not None:
            return image.content
        if image.url is None:
            raise CollectFailed("image_missing", may_retry=False)
        if not self._may_follow(offering, image.url):
            raise CollectFailed("link_not_allowed", may_retry=False)
        try:
            reply = await self._wire.send(
                "GET",
                image.url,
                limits=offering.limits,
                headers={"Accept": "image/*"},
                reply_max_bytes=offering.limits.image_max_bytes,
            )
        except (NotDeliveredError, ReplyLostError) as error:
            raise CollectFailed("not_collected", may_retry=True) from error
        if reply.is_ok:
            return reply.body
        gone = reply.status in {401, 403, 404, 410}
        raise CollectFailed("link_expired" if gone else "not_collected", may_retry=not gone)

    def _refused(self, reply: Reply, reason: str | None = None) -> CallRefused:
        """Read a 4xx: nothing was done."""
        return CallRefused(
            OutcomeClass.rejected_without_work,
            reason or _REASONS.get(reply.status, "request_refused"),
            retry_after_s=self._wire.retry_after_s(reply),
            permanent=reply.status in PERMANENT,
        )

    def _server_error(self, offering: Offering, reply: Reply) -> CallRefused | Unknown:
        """Read a 5xx on a submit.

        503 says that the work was not taken. A gateway's 502 or 504 says nothing about what lies
        behind it. 500 counts as done unless the provider documents that it never bills it.
        """
        if reply.status == 503 or (reply.status == 500 and not offering.traits.server_error_billed):
            return CallRefused(
                OutcomeClass.rejected_without_work,
                f"server_error_{reply.status}",
                retry_after_s=self._wire.retry_after_s(reply),
            )
        return Unknown(f"server_error_{reply.status}")

    async def _post(
        self,
        offering: Offering,
        url: str,
        document: Mapping[str, object],
        headers: Mapping[str, str] | None = None,
    ) -> Reply | CallRefused | Unknown:
        """Submit once; a reply that is no success is already read."""
        try:
            reply = await self._wire.send(
                "POST",
                url,
                limits=offering.limits,
                headers={**self._headers(), **(headers or {})},
                document=document,
            )
        except NotDeliveredError as error:
            return CallRefused(OutcomeClass.never_delivered, str(error))
        except ReplyLostError as error:
            return Unknown(str(error))
        if reply.is_ok:
            return reply
        if reply.status >= 500:
            return self._server_error(offering, reply)
        if reply.status < 400:
            return Unknown("redirected")
        return self._refused(reply)
