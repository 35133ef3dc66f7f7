"""Put, get, head and links of the object store, without a thread and without botocore."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Final

from winnow.objectwire.connection import BrokenExchange, RefusedRequest
from winnow.objectwire.pool import Endpoint, Limits, Pool
from winnow.objectwire.signature import Signer, encoded_path, encoded_query
from winnow.runtime.backoff import Backoff
from winnow.runtime.clock import SystemClock

_TRIES_MAX: Final = 4
_FIRST_WAIT_S: Final = 0.2
_MAX_WAIT_S: Final = 1.0
_CLOCK: Final = SystemClock()


class ObjectWire:
    """Addresses objects by paths. Every request raises RefusedRequest or BrokenExchange when it is not fulfilled."""

    def __init__(
        self,
        endpoint: str,
        region: str,
        access_key: str,
        secret_key: str,
        *,
        limits: Limits | None = None,
        now: Callable[[], datetime] = _CLOCK.now,
    ) -> None:
        """Connect on first use; raises ValueError for an endpoint or a key that cannot be used."""
        self._endpoint = Endpoint.parse(endpoint)
        self._signer = Signer(self._endpoint.host_header, region, access_key, secret_key, now)
        self._pool = Pool(self._endpoint, limits or Limits())

    async def put(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Store an object. It is sent again after a failure, so the same key must always have the same bytes."""
        await self._request("PUT", bucket, key, body, content_type)

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        """Read an object; a larger one than ``max_bytes`` raises OversizedContent before it is read whole."""
        return await self._request("GET", bucket, key, bytes_max=max_bytes)

    async def head(self, bucket: str, key: str = "") -> None:
        """Ask for an object, or without a key for the bucket; status 404 says that it is absent."""
        await self._request("HEAD", bucket, key)

    def link(self, bucket: str, key: str, *, expires_in_s: int, filename: str, content_type: str) -> str:
        """Sign a link that downloads as an attachment and ends after ``expires_in_s``; never log it."""
        answer_headers = {
            "response-content-disposition": f'attachment; filename="{filename}"',
            "response-content-type": content_type,
        }
        path = self._path(bucket, key)
        return self._endpoint.origin + self._signer.link(path, encoded_query(answer_headers), expires_in_s)

    async def close(self) -> None:
        """Close the connections; later requests raise BrokenExchange."""
        await self._pool.close()

    def _path(self, bucket: str, key: str) -> str:
        return self._endpoint.path + encoded_path(bucket, key)

    async def _request(
        self,
        method: str,
        bucket: str,
        key: str,
        body: bytes = b"",
        content_type: str = "",
        bytes_max: int | None = None,
    ) -> bytes:
        path = self._path(bucket, key)
        backoff: Backoff | None = None
        for left in reversed(range(_TRIES_MAX)):
            # Each try has a signature of its own time.
            head = self._signer.head(method, path, body, content_type)
            try:
                status, content = await self._pool.exchange(head, body, bytes_max, is_head=method == "HEAD")
            except BrokenExchange:
                if not left or self._pool.is_closed:
                    raise
            else:
                if status < HTTPStatus.MULTIPLE_CHOICES:
                    return content
                if status < HTTPStatus.INTERNAL_SERVER_ERROR or not left:
                    raise RefusedRequest(status)
            backoff = backoff or Backoff(path, _FIRST_WAIT_S, _MAX_WAIT_S)
            await asyncio.sleep(backoff.next_s())
        raise AssertionError("the last try returns or raises")
