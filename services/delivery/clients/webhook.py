"""Sends signed webhooks (Standard Webhooks 1.0.0) to addresses that are allowed, and to no other.

Every name is resolved once, all its addresses are checked, and the checked one is connected to
(drawbridge): a name that changes its address between check and use changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

import drawbridge
import httpx
from drawbridge._validator import resolve_and_validate
from standardwebhooks import Webhook

from services.delivery.domain.endpoints import URL_MAX, WebhookAnswer, WebhookRequest
from services.delivery.domain.messages import AttemptReason
from services.delivery.domain.schedule import reason_of_status
from winnow.contracts.errors import ErrorCode, Refused

ANSWER_MAX_BYTES: Final = 65_536
"""An answer's body is read this far, so that a sender sees a normal end, and is never kept."""

USER_AGENT: Final = "winnow-webhooks/1"
_CONNECT_TIMEOUT_S: Final = 5.0
_DRAIN_TIMEOUT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Where webhooks may go.

    ``ports`` are the ports of public https addresses. ``allowed_hosts`` are exact ``host:port`` pairs
    that are let through as they are, http and private addresses included. ``private_networks`` lets
    everything through, for a closed network.
    """

    ports: tuple[int, ...] = (443,)
    allowed_hosts: tuple[str, ...] = ()
    private_networks: bool = False


class WebhookSender:
    """One request at a time per call; the caller bounds how many run at once."""

    def __init__(self, rules: AddressRules, *, timeout_s: float) -> None:
        """Prepare the connections; ``timeout_s`` bounds a whole request."""
        self._rules = rules
        self._timeout_s = timeout_s
        self._public = _policy(rules.ports, allow_private=rules.private_networks, timeout_s=timeout_s)
        self._clients: dict[str, drawbridge.Client] = {}

    async def check(self, url: str) -> None:
        """Check an address before it is registered. Raises Refused (url_not_allowed)."""
        _, policy, host, port = self._resolve(url)
        try:
            async with asyncio.timeout(self._timeout_s):
                await resolve_and_validate(host, port, policy)
        except (drawbridge.DrawbridgeError, UnicodeError, TimeoutError):
            raise _not_allowed("The address is not public, or its name does not resolve.") from None

    async def send(self, request: WebhookRequest) -> WebhookAnswer:
        """Make one attempt; never raises for what the other side does."""
        try:
            place, policy, _, _ = self._resolve(request.url)
            async with asyncio.timeout(self._timeout_s):
                return await self._post(self._client(place, policy), request)
        except (Refused, drawbridge.BlockedAddressError, drawbridge.BlockedDomainError):
            return WebhookAnswer(0, AttemptReason.address_not_allowed)
        except (drawbridge.UnsafePortError, drawbridge.UnsafeSchemeError):
            return WebhookAnswer(0, AttemptReason.address_not_allowed)
        except (TimeoutError, httpx.TimeoutException):
            return WebhookAnswer(0, AttemptReason.timed_out)
        except (httpx.HTTPError, httpx.InvalidURL, drawbridge.DrawbridgeError, OSError, UnicodeError):
            return WebhookAnswer(0, AttemptReason.not_reachable)

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    async def _post(self, client: drawbridge.Client, request: WebhookRequest) -> WebhookAnswer:
        signature = Webhook(request.secret).sign(request.delivery_id, request.at, request.body.decode())
        headers = {
            "content-type": "application/json",
            "accept-encoding": "identity",
            "webhook-id": request.delivery_id,
            "webhook-timestamp": str(int(request.at.timestamp())),
            "webhook-signature": signature,
        }
        async with client.stream("POST", request.url, content=request.body, headers=headers) as response:
            status = response.status_code
            retry_after_s = _retry_after_s(response.headers.get("retry-after"), request.at)
            await _drain(response)
        return WebhookAnswer(status, reason_of_status(status), retry_after_s)

    def _resolve(self, url: str) -> tuple[str, drawbridge.Policy, str, int]:
        """Give the connection's name, its rules, the host and the port of an address. Raises Refused."""
        parsed = _parsed(url)
        host = parsed.host
        port = parsed.port or (443 if parsed.scheme == "https" else 80)
        place = f"{_bracketed(host)}:{port}"
        if place in self._rules.allowed_hosts:
            policy = _policy((port,), allow_private=True, timeout_s=self._timeout_s, hosts=(host,))
            return place, policy, host, port
        if self._rules.private_networks:
            return place, _policy((port,), allow_private=True, timeout_s=self._timeout_s), host, port
        if parsed.scheme != "https":
            raise _not_allowed("The address must begin with https://.")
        if port not in self._rules.ports:
            raise _not_allowed("The port is not allowed.")
        return "", self._public, host, port

    def _client(self, place: str, policy: drawbridge.Policy) -> drawbridge.Client:
        client = self._clients.get(place)
        if client is None:
            client = self._clients[place] = drawbridge.Client(policy)
        return client


def _policy(
    ports: Sequence[int], *, allow_private: bool, timeout_s: float, hosts: Sequence[str] | None = None
) -> drawbridge.Policy:
    return drawbridge.Policy(
        allow_private=allow_private,
        allow_domains=None if hosts is None else frozenset(hosts),
        allow_ports=frozenset(ports),
        timeout=httpx.Timeout(connect=_CONNECT_TIMEOUT_S, read=timeout_s, write=timeout_s, pool=timeout_s),
        max_redirects=0,
        user_agent=USER_AGENT,
        max_response_bytes=ANSWER_MAX_BYTES,
    )


def _parsed(url: str) -> httpx.URL:
    if len(url) > URL_MAX or not url.isprintable() or " " in url:
        raise _not_allowed("The address is not a URL of printable characters.")
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        raise _not_allowed("The address is not a URL.") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise _not_allowed("The address must be an https URL.")
    if parsed.userinfo or parsed.fragment:
        raise _not_allowed("The address must not hold a user or a fragment.")
    return parsed


def _bracketed(host: str) -> str:
    try:
        return f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
    except ValueError:
        return host


def _not_allowed(detail: str) -> Refused:
    return Refused(ErrorCode.url_not_allowed, detail, field="url")


async def _drain(response: httpx.Response) -> None:
    """Read the body as far as it is let; the status has decided already, so nothing here can fail."""
    total = 0
    with contextlib.suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(_DRAIN_TIMEOUT_S):
            async for chunk in response.aiter_raw():
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
