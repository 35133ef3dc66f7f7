"""HTTP for the adapters: bounded in time and size, and exact about whether a request was delivered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from services.router.domain.catalogue import CallLimits
from winnow.runtime.clock import Clock

_KEEPALIVE_S: Final = 2.0
"""Below the 5 s after which common servers close an idle connection: a POST on a connection that is
being closed would end as an unknown outcome."""
_CONNECTIONS_MAX: Final = 256
RETRY_AFTER_MAX_S: Final = 600.0

_BEFORE_DELIVERY: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class NotDeliveredError(Exception):
    """The request never reached the provider; sending it again is safe."""


class ReplyLostError(Exception):
    """The request may have reached the provider; no usable reply came."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def document(self) -> dict[str, Any]:
        """Read the body as a JSON object; anything else becomes an empty one."""
        try:
            document = json.loads(self.body)
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}

    @property
    def is_ok(self) -> bool:
        """Return whether the status is a success."""
        return 200 <= self.status < 300


class Wire:
    """One HTTP client with pooled connections, shared by the adapters of a process."""

    def __init__(self, clock: Clock) -> None:
        """Prepare the client; it connects on first use, inside a running loop."""
        self._clock = clock
        self._client: httpx.AsyncClient | None = None

    async def send(
        self,
        method: str,
        url: str,
        *,
        limits: CallLimits,
        headers: Mapping[str, str],
        document: Mapping[str, object] | None = None,
        reply_max_bytes: int | None = None,
    ) -> Reply:
        """Send one request and read its reply whole.

        Raises NotDeliveredError, or ReplyLostError when it broke, took too long or was too large.
        """
        cap = limits.reply_max_bytes if reply_max_bytes is None else reply_max_bytes
        try:
            async with asyncio.timeout(limits.connect_timeout_s + limits.read_timeout_s):
                return await self._send(method, url, limits, headers, document, cap)
        except TimeoutError as error:
            raise ReplyLostError("timed_out") from error
        except httpx.UnsupportedProtocol as error:
            raise NotDeliveredError("bad_address") from error
        except (httpx.HTTPError, httpx.StreamError, aiohttp.ClientError, OSError) as error:
            raise _meaning(error) from error

    async def _send(
        self,
        method: str,
        url: str,
        limits: CallLimits,
        headers: Mapping[str, str],
        document: Mapping[str, object] | None,
        cap: int,
    ) -> Reply:
        client = self._open()
        request = client.build_request(
            method,
            url,
            headers={**headers, "Accept-Encoding": "identity"},
            json=document,
            timeout=httpx.Timeout(
                connect=limits.connect_timeout_s,
                read=limits.read_timeout_s,
                write=limits.read_timeout_s,
                pool=limits.connect_timeout_s,
            ),
        )
        response = await client.send(request, stream=True)
        try:
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > cap:
                    raise ReplyLostError("reply_too_large")
        finally:
            await response.aclose()
        names = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status_code, names, bytes(body))

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            limits = httpx.Limits(max_connections=_CONNECTIONS_MAX, keepalive_expiry=_KEEPALIVE_S)
            self._client = httpx.AsyncClient(
                transport=AiohttpTransport(limits=limits, trust_env=False),
                follow_redirects=False,
                trust_env=False,
                timeout=httpx.Timeout(connect=5.0, read=30.0, write=30.0, pool=5.0),
            )
        return self._client

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def retry_after_s(self, reply: Reply) -> float | None:
        """Read ``Retry-After`` (seconds or a date), at most ten minutes; None without one."""
        text = reply.headers.get("retry-after", "").strip()
        if not text:
            return None
        try:
            wait_s = float(text)
        except ValueError:
            try:
                wait_s = (parsedate_to_datetime(text) - self._clock.now()).total_seconds()
            except (TypeError, ValueError):
                return None
        return min(RETRY_AFTER_MAX_S, max(0.0, wait_s)) if isfinite(wait_s) else None


def _meaning(error: Exception) -> NotDeliveredError | ReplyLostError:
    """Return whether a failed request can have been delivered.

    The transport reports a connection that broke after sending under the same name as a connection that was
    never made. The error beneath it therefore decides: a wrong reading would pay twice.
    """
    beneath: BaseException | None = error
    while beneath is not None:
        if isinstance(beneath, _BEFORE_DELIVERY):
            return NotDeliveredError("not_connected")
        beneath = beneath.__cause__
    return ReplyLostError("connection_broke")


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of an address."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port


def is_allowed(url: str, *, base_url: str, hosts: Iterable[str]) -> bool:
    """Return whether a link in a provider's reply may be followed.

    It must lie at the configured base address, or be https on one of the provider's hosts
    (``*.example.com`` allows the names below it). Anything else could point into our own network.
    """
    try:
        scheme, host, port = origin_of(url)
    except ValueError:
        return False
    if (scheme, host, port) == origin_of(base_url):
        return True
    if scheme != "https" or port not in {None, 443}:
        return False
    return any(
        host.endswith(allowed[1:]) if allowed.startswith("*.") else host == allowed for allowed in hosts
    )
