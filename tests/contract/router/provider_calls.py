"""A server that answers to order, and calls of the adapters to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from services.router.clients.wire import Wire
from services.router.domain.calls import Generation
from services.router.domain.catalogue import CallLimits
from tests.contract.router.builders import adapter, offering_of
from tests.support.servers.connections import listening
from winnow.runtime.clock import SystemClock

GENERATION = Generation("att", "a headshot", None, 2, 512, 512, seed=7)
LIMITS = CallLimits(connect_timeout_s=10, read_timeout_s=10, reply_max_bytes=4096, image_max_bytes=1000)
IMPATIENT = replace(LIMITS, connect_timeout_s=0.5, read_timeout_s=0.5)
PROVIDERS = ["fal", "replicate", "openai"]
Answer = bytes | Callable[[bytes], bytes] | None


@asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Serve raw bytes; None closes the connection after reading the request."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length")), 0
        )
        requests.append(head + await reader.readexactly(length))
        if answer is not None:
            writer.write(answer(requests[-1]) if callable(answer) else answer)
            await writer.drain()

    async with listening(serve) as port:
        yield f"http://127.0.0.1:{port}", requests


def http(status: int, document: Any = None, **headers: str) -> bytes:
    body = document if isinstance(document, bytes) else json.dumps(document or {}).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@asynccontextmanager
async def calling(provider: str, base_url: str, **changes: Any) -> AsyncIterator[tuple[Any, Any]]:
    wire = Wire(SystemClock())
    try:
        yield adapter(provider, wire, base_url), offering_of(provider, **({"limits": LIMITS} | changes))
    finally:
        await wire.close()


async def submit(provider: str, answer: Any, **changes: Any) -> Any:
    async with server(answer) as (url, _), calling(provider, url, **changes) as (client, offering):
        return await client.submit(offering, GENERATION)
