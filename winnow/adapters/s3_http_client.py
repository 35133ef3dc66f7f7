"""One request to the object store: signed by botocore's signer, sent by aiohttp, tried again, within limits.

botocore spends 1.6 ms of CPU and a thread on a small put, this client 0.4 ms on the event loop. Rare requests
stay with botocore.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import aiohttp
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from yarl import URL

from winnow.runtime.backoff import Backoff

_TRIES_MAX: Final = 4
_FIRST_WAIT_S: Final = 0.2
_MAX_WAIT_S: Final = 1.0
_CONNECTIONS: Final = 32
_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=30)


class S3HttpClient:
    """Sends GET, HEAD and PUT. A refusal raises ClientError as from botocore, an absent answer the errors of aiohttp."""

    def __init__(self, endpoint: str, region: str, access_key: str, secret_key: str) -> None:
        """Address the store by paths; a connection is made on first use."""
        self._endpoint = endpoint.rstrip("/")
        self._signer = S3SigV4Auth(Credentials(access_key, secret_key), "s3", region)
        self._http: aiohttp.ClientSession | None = None

    async def put(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Store an object."""
        await self._request("PUT", self._url(bucket, key), body, {"Content-Type": content_type}, 0)

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        """Read an object; one of more than ``max_bytes`` raises ValueError before it is read whole."""
        return await self._request("GET", self._url(bucket, key), None, {}, max_bytes)

    async def head(self, bucket: str, key: str = "") -> None:
        """Raise ClientError unless the object, or without a key the bucket, is there."""
        await self._request("HEAD", self._url(bucket, key), None, {}, 0)

    async def close(self) -> None:
        """Close the connections."""
        http, self._http = self._http, None
        if http is not None:
            await http.close()

    def _url(self, bucket: str, key: str) -> str:
        return f"{self._endpoint}/{bucket}" + (f"/{quote(key, safe='/-_.~')}" if key else "")

    def _session(self) -> aiohttp.ClientSession:
        # A session is bound to the loop that runs when it is made.
        if self._http is None:
            connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
            self._http = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT, auto_decompress=False)
        return self._http

    async def _request(
        self, method: str, url: str, body: bytes | None, headers: dict[str, str], max_bytes: int
    ) -> bytes:
        backoff = Backoff(url, _FIRST_WAIT_S, _MAX_WAIT_S)
        while True:
            is_last = backoff.attempt + 1 == _TRIES_MAX
            try:
                status, content = await self._send(method, url, body, headers, max_bytes)
            except (aiohttp.ClientError, OSError):
                if is_last:
                    raise
            else:
                if status < HTTPStatus.MULTIPLE_CHOICES:
                    return content
                if status < HTTPStatus.INTERNAL_SERVER_ERROR or is_last:
                    raise ClientError({"Error": {"Code": str(status)}}, method)
            await asyncio.sleep(backoff.next_s())

    async def _send(
        self, method: str, url: str, body: bytes | None, headers: dict[str, str], max_bytes: int
    ) -> tuple[int, bytes]:
        request = AWSRequest(method, url, headers=headers, data=body)
        self._signer.add_auth(request)
        sent = self._session().request(
            method, URL(url, encoded=True), data=body, headers=dict(request.headers.items())
        )
        async with sent as answer:
            if method != "GET" or answer.status != HTTPStatus.OK:
                return answer.status, b""
            if (answer.content_length or 0) > max_bytes:
                answer.close()
                raise ValueError("the object is larger than allowed")
            content = bytearray()
            async for chunk in answer.content.iter_any():
                content += chunk
                if len(content) > max_bytes:
                    answer.close()
                    raise ValueError("the object is larger than allowed")
            return answer.status, bytes(content)
