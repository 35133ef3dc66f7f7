"""Reads the picture that a client's URL names, and nothing inside our own network."""

from __future__ import annotations

from pathlib import Path
from traceback import extract_tb
from typing import Final

import aiohttp

from winnow.contracts.errors import ErrorCode, Refused
from winnow.egress.client import EgressRules, GuardedClient, Resolve
from winnow.egress.target import EgressError, EgressReason
from winnow.runtime.log import get_logger

_log = get_logger(__name__)
_REDIRECTS_MAX: Final = 3
_CHUNK_BYTES: Final = 1 << 16
_HEADERS: Final = {"accept": "image/*", "accept-encoding": "identity"}
_NOT_ALLOWED: Final = frozenset({EgressReason.malformed_url, EgressReason.address_not_allowed})
_TLS: Final = frozenset(
    {
        EgressReason.certificate_expired,
        EgressReason.certificate_wrong_host,
        EgressReason.certificate_untrusted,
        EgressReason.tls_failed,
    }
)


class GuardedFetcher:
    """A GET with a total deadline, a byte limit and the guard."""

    def __init__(
        self,
        rules: EgressRules,
        *,
        timeout_s: float,
        size_bytes_max: int,
        ca_file: Path | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        """Read within ``timeout_s``, redirects included; ``ca_file`` (PEM) is trusted beside the system's."""
        self._size_bytes_max = size_bytes_max
        self._client = GuardedClient(
            rules, timeout_s=timeout_s, user_agent="winnow-ingest", ca_file=ca_file, resolve=resolve
        )

    async def fetch(self, url: str) -> bytes:
        """Read a URL's body; the text of an error never holds the URL's address or what it answered.

        Raises Refused (url_not_allowed, url_not_reachable, url_tls_failed, body_too_large).
        """
        try:
            async with self._client.open(
                "GET", url, headers=_HEADERS, redirects_max=_REDIRECTS_MAX
            ) as response:
                return await self._read(response)
        except EgressError as error:
            raise _refused(_code_of(error.reason), error.detail) from None
        except Refused:
            raise
        except Exception as error:  # noqa: BLE001 (whatever a stranger's server causes is no fault of ours)
            _log.error("ingest.fetch.unforeseen", error=type(error).__name__, at=_place_of(error))
            raise _refused(ErrorCode.url_not_reachable, "The URL could not be read.") from None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        if response.status != 200:
            raise _refused(ErrorCode.url_not_reachable, f"The URL answers with status {response.status}.")
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > self._size_bytes_max:
                raise Refused(
                    ErrorCode.body_too_large,
                    f"The URL's answer is larger than {self._size_bytes_max} bytes.",
                    size_bytes_max=self._size_bytes_max,
                )
        return bytes(body)


def _code_of(reason: EgressReason) -> ErrorCode:
    if reason in _NOT_ALLOWED:
        return ErrorCode.url_not_allowed
    return ErrorCode.url_tls_failed if reason in _TLS else ErrorCode.url_not_reachable


def _place_of(error: Exception) -> str:
    """Return where an error was raised; its text may hold the URL, which is never logged."""
    frame = extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def _refused(code: ErrorCode, detail: str) -> Refused:
    return Refused(code, detail, pointer="url")
