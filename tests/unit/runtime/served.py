"""A service's listeners over real sockets, with deadlines that a test can outlast."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.support.eventually import eventually
from tests.support.raw_http import asked, settings
from winnow.local.ports import choose
from winnow.runtime import service as service_module
from winnow.runtime.listener import Server, http_server
from winnow.runtime.metrics import HTTP_CONNECTIONS_CLOSED
from winnow.runtime.service import Service

SHORT = {f"http_{name}_timeout_s": 0.3 for name in ("header", "body", "keep_alive")}
"""For tests of a few connections which outlast every deadline."""
SHORT_SUM_S = sum(SHORT.values())
LARGE = "a" * 8_000_000
STEADY_PIECE, STEADY_PIECES = b"a" * 160_000, 75


@dataclass
class Served:
    """A service that runs: its ports, and what its application met."""

    api: int = 0
    ops: int = 0
    disconnected: int = 0
    names: list[bytes] = field(default_factory=list)
    listeners: list[Server] = field(default_factory=list)

    def connections(self) -> int:
        return sum(len(each.server_state.connections) for each in self.listeners)

    async def large(self, _: Request) -> Response:
        return PlainTextResponse(LARGE)

    async def steady(self, _: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            # More than this stream's client takes, so that bytes wait for it all the time, yet for long less each time.
            for _ in range(STEADY_PIECES):
                yield STEADY_PIECE
                await asyncio.sleep(0.02)

        return StreamingResponse(pieces(), media_type="text/event-stream")

    async def echo(self, request: Request) -> Response:
        try:
            body = await request.body()
            self.names = [name for name, _ in request.scope["headers"]]
            return PlainTextResponse(str(len(body)))
        except ClientDisconnect:
            self.disconnected += 1
            raise

    async def refuse(self, _: Request) -> Response:
        return PlainTextResponse("no", 401)

    async def stream(self, _: Request) -> Response:
        async def numbers() -> AsyncIterator[str]:
            # Longer than all short deadlines together, with pauses longer than each of them.
            for number in range(4):
                yield f"data: {number}\n\n"
                await asyncio.sleep(0.4)

        return StreamingResponse(numbers(), media_type="text/event-stream")


@contextlib.asynccontextmanager
async def serving(**changes: object) -> AsyncIterator[Served]:
    """Run a whole service, with a public port and the ops port, in this process."""
    ports = choose(["api", "ops"], {})
    served = Served(ports["api"], ports["ops"])
    app = Starlette(
        routes=[
            Route("/livez", served.refuse, methods=["GET", "POST"]),
            Route("/echo", served.echo, methods=["POST"]),
            Route("/refuse", served.refuse, methods=["POST"]),
            Route("/stream", served.stream),
            Route("/large", served.large),
            Route("/steady", served.steady),
        ]
    )
    service = Service("test", settings(ops_port=served.ops, **changes))

    def remembered(*given: Any) -> Server:
        served.listeners.append(http_server(*given))
        return served.listeners[-1]

    patch = pytest.MonkeyPatch()
    patch.setattr(service_module, "http_server", remembered)
    service.add_http(app, served.api)
    running = asyncio.create_task(service.run())

    async def listens() -> bool:
        assert not running.done(), running.exception()
        for port in (served.api, served.ops):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return False
            writer.close()
        return True

    try:
        await eventually(listens, within_s=60)
        yield served
    finally:
        service._stop.set()
        await running
        patch.undo()


async def is_ok(port: int, request: bytes) -> bool:
    return await asked(port, request) == b"HTTP/1.1 200 OK\r\n"


def closed(limit: str) -> float:
    """Return how many connections a limit has closed in this process."""
    return HTTP_CONNECTIONS_CLOSED.labels(limit)._value.get()
