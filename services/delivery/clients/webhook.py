"""Sends signed webhooks (Standard Webhooks 1.0.0) to addresses that are allowed, and to no other."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from traceback import extract_tb
from typing import Final

import aiohttp
from standardwebhooks import Webhook

from services.delivery.domain.endpoints import URL_MAX, WebhookAnswer, WebhookRequest
from services.delivery.domain.messages import AttemptReason
from services.delivery.domain.schedule import reason_of_status
from winnow.contracts.errors import ErrorCode, Refused
from winnow.egress.client import EgressRules, GuardedClient, Resolve
from winnow.egress.target import EgressError, EgressReason
from winnow.runtime.log import get_logger

_log = get_logger(__name__)
ANSWER_MAX_BYTES: Final = 65_536
"""An answer's body is read this far, so that a sender sees a normal end, and is never kept."""

USER_AGENT: Final = "winnow-webhooks/1"
_DRAIN_TIMEOUT_S: Final = 2.0

_REASONS: Final[dict[EgressReason, AttemptReason]] = {
    EgressReason.malformed_url: AttemptReason.address_not_allowed,
    EgressReason.address_not_allowed: AttemptReason.address_not_allowed,
    EgressReason.name_not_resolved: AttemptReason.not_reachable,
    EgressReason.certificate_expired: AttemptReason.certificate_expired,
    EgressReason.certificate_wrong_host: AttemptReason.certificate_wrong_host,
    EgressReason.certificate_untrusted: AttemptReason.certificate_untrusted,
    EgressReason.tls_failed: AttemptReason.tls_failed,
    EgressReason.timed_out: AttemptReason.timed_out,
    EgressReason.not_reachable: AttemptReason.not_reachable,
    EgressReason.too_many_redirects: AttemptReason.redirected,
}


class WebhookSender:
    """One request at a time per call; the caller bounds how many run at once."""

    def __init__(
        self,
        rules: EgressRules,
        *,
        timeout_s: float,
        ca_file: Path | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        """Bound a whole request by ``timeout_s``; ``ca_file`` (PEM) is trusted beside the system's authorities."""
        self._client = GuardedClient(
            rules, timeout_s=timeout_s, user_agent=USER_AGENT, ca_file=ca_file, resolve=resolve
        )

    async def check(self, url: str) -> None:
        """Check an address before it is registered. Raises Refused (url_not_allowed)."""
        if len(url) > URL_MAX:
            raise _not_allowed(f"The URL is longer than {URL_MAX} characters.")
        if "#" in url:
            raise _not_allowed("The URL must not hold a fragment.")
        try:
            await self._client.check(url)
        except EgressError as error:
            raise _not_allowed(error.detail) from None

    async def send(self, request: WebhookRequest) -> WebhookAnswer:
        """Make one attempt; every failure is an answer, so that the attempt is recorded and tried again."""
        try:
            return await self._post(request)
        except EgressError as error:
            return WebhookAnswer(0, _REASONS.get(error.reason, AttemptReason.unforeseen))
        except Exception as error:  # noqa: BLE001 (an attempt that nobody records would be made for ever)
            _log.error(
                "delivery.webhook.unforeseen",
                delivery_id=request.delivery_id,
                error=type(error).__name__,
                at=_place_of(error),
            )
            return WebhookAnswer(0, AttemptReason.unforeseen)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _post(self, request: WebhookRequest) -> WebhookAnswer:
        signature = Webhook(request.secret).sign(request.delivery_id, request.at, request.body.decode())
        headers = {
            "content-type": "application/json",
            "accept": "*/*",
            "accept-encoding": "identity",
            "webhook-id": request.delivery_id,
            "webhook-timestamp": str(int(request.at.timestamp())),
            "webhook-signature": signature,
        }
        async with self._client.open("POST", request.url, headers=headers, body=request.body) as response:
            status = response.status
            retry_after_s = _retry_after_s(response.headers.get("retry-after"), request.at)
            await _drain(response)
        return WebhookAnswer(status, reason_of_status(status), retry_after_s)


def _not_allowed(detail: str) -> Refused:
    return Refused(ErrorCode.url_not_allowed, detail, field="url")


def _place_of(error: Exception) -> str:
    """Return where an error was raised; its text may hold the URL, which is never logged."""
    frame = extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read the body as far as it is let; the status has decided already, so nothing here can fail."""
    total = 0
    with contextlib.suppress(TimeoutError, OSError, aiohttp.ClientError):
        async with asyncio.timeout(_DRAIN_TIMEOUT_S):
            async for chunk in response.content.iter_any():
                total += len(chunk)
                if total >= ANSWER_MAX_BYTES:
                    return


def _retry_after_s(value: str | None, now: datetime) -> int:
    """Read Retry-After, in seconds or as an HTTP date (RFC 9110 §10.2.3); 0 when it says nothing usable."""
    if value is None:
        return 0
    text = value.strip()
    if text.isascii() and text.isdigit():
        return int(text[:9])
    try:
        return max(0, int((parsedate_to_datetime(text) - now).total_seconds()))
    except (ValueError, TypeError, OverflowError):
        return 0
