"""Reads what a client's URL names, and nothing inside our own network.

The guard resolves a name once, checks every address it got, pins the connection to it, and does the same
again for each redirect, so that neither a private address nor a changing one is ever connected to.
"""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import SplitResult, urlsplit

import drawbridge
import httpx

from winnow.contracts.errors import ErrorCode, Refused

_URL_LENGTH_MAX: Final = 2048
_REDIRECTS_MAX: Final = 3
_PORTS: Final = {"https": frozenset({443}), "http": frozenset({80})}


class GuardedFetcher:
    """A GET with a total deadline, a byte limit and the guard."""

    def __init__(
        self,
        *,
        timeout_s: float,
        size_bytes_max: int,
        plain_http_allowed: bool,
        private_allowed: bool = False,
        ports: frozenset[int] = frozenset(),
    ) -> None:
        """Allow https on 443, plain http on 80 only if said so; ``private_allowed`` is for tests on loopback."""
        self._schemes = frozenset({"https", "http"} if plain_http_allowed else {"https"})
        allowed = frozenset[int]().union(*(_PORTS[scheme] for scheme in self._schemes)) | ports
        self._timeout_s = timeout_s
        self._size_bytes_max = size_bytes_max
        self._policy = drawbridge.Policy(
            allow_private=private_allowed,
            allow_ports=allowed,
            timeout=httpx.Timeout(connect=5.0, read=timeout_s, write=5.0, pool=5.0),
            max_redirects=_REDIRECTS_MAX,
            max_response_bytes=size_bytes_max,
            user_agent="winnow-ingest",
        )

    async def fetch(self, url: str) -> bytes:
        """Read a URL's body; the text of an error never holds the URL's address or what it answered."""
        self._check_form(url)
        try:
            async with asyncio.timeout(self._timeout_s), drawbridge.Client(self._policy) as client:
                response = await client.get(url, headers={"accept": "image/*", "accept-encoding": "identity"})
        except (
            drawbridge.BlockedAddressError,
            drawbridge.BlockedDomainError,
            drawbridge.UnsafePortError,
            drawbridge.UnsafeSchemeError,
        ):
            raise _not_allowed("The URL leads to an address that is not read.") from None
        except drawbridge.ResponseTooLargeError:
            raise Refused(
                ErrorCode.body_too_large,
                f"The URL's answer is larger than {self._size_bytes_max} bytes.",
                size_bytes_max=self._size_bytes_max,
            ) from None
        except (drawbridge.DrawbridgeError, httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError):
            raise _not_reachable("The URL does not answer.") from None
        if response.status_code != httpx.codes.OK:
            raise _not_reachable(f"The URL answers with status {response.status_code}.")
        return response.content

    def _check_form(self, url: str) -> None:
        try:
            parts: SplitResult = urlsplit(url)
            parts.port  # noqa: B018 (reading it raises for a port that is no number)
        except ValueError:
            raise _not_allowed("This is no URL.") from None
        if len(url) > _URL_LENGTH_MAX:
            raise _not_allowed(f"The URL is longer than {_URL_LENGTH_MAX} characters.")
        if parts.scheme not in self._schemes:
            raise _not_allowed(f"Only {' and '.join(sorted(self._schemes))} URLs are read.")
        if parts.username is not None or parts.password is not None:
            raise _not_allowed("A URL with a user name or password is not read.")
        if not parts.hostname:
            raise _not_allowed("The URL names no host.")


def _not_allowed(detail: str) -> Refused:
    return Refused(ErrorCode.url_not_allowed, detail, pointer="url")


def _not_reachable(detail: str) -> Refused:
    return Refused(ErrorCode.url_not_reachable, detail, pointer="url")
