"""Requests on bare sockets, whole and unfinished, and the settings of a listener that gets them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from winnow.runtime.settings import ServiceSettings

HEADER_S, BODY_S, KEEP_ALIVE_S, UNREAD_S = 0.6, 0.8, 0.5, 1.0
SLACK_S = 25.0
"""For a busy machine: what must not happen is that a connection stays."""

REQUEST = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
HALF_HEADER = b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: "
HALF_BODY = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nsome"


def settings(**changes: object) -> ServiceSettings:
    given: dict[str, Any] = {
        "kafka_bootstrap": "x",
        "mongo_uri": "x",
        "s3_endpoint": "x",
        "s3_access_key": "x",
        "s3_secret_key": "x",
        "http_header_timeout_s": HEADER_S,
        "http_body_timeout_s": BODY_S,
        "http_keep_alive_timeout_s": KEEP_ALIVE_S,
        "http_unread_timeout_s": UNREAD_S,
        "drain_timeout_s": 1,
    }
    return ServiceSettings(**given | changes)


async def ended(port: int, *parts: bytes, every_s: float = 0.05, forever: bytes = b"") -> tuple[float, bytes]:
    """Send the parts, then ``forever`` again and again; return after how long the other side closed, and its words."""
    begun_s = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send() -> None:
        with contextlib.suppress(ConnectionError):
            for part in parts:
                writer.write(part)
                await writer.drain()
            while forever:
                await asyncio.sleep(every_s)
                writer.write(forever)
                await writer.drain()

    sending = asyncio.create_task(send())
    words = b""
    try:
        async with asyncio.timeout(SLACK_S):
            with contextlib.suppress(ConnectionError):
                while chunk := await reader.read(65536):
                    words += chunk
        return time.monotonic() - begun_s, words
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()


async def asked(port: int, request: bytes = REQUEST) -> bytes:
    """Ask on a connection of its own and return the status line."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    line = await reader.readline()
    writer.close()
    return line
