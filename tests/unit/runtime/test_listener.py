"""A service's listeners over real sockets: what an unfinished, idle or unwanted connection gets, and what lives on."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.support.eventually import eventually
from tests.support.raw_http import (
    BODY_S,
    HALF_BODY,
    HALF_HEADER,
    HEADER_S,
    KEEP_ALIVE_S,
    REQUEST,
    SLACK_S,
    asked,
    ended,
    settings,
)
from winnow.local.ports import choose
from winnow.runtime import service as service_module
from winnow.runtime.listener import Server, http_server
from winnow.runtime.metrics import HTTP_CONNECTIONS_CLOSED
from winnow.runtime.service import Service

pytestmark = pytest.mark.timeout(120)
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


@pytest.mark.parametrize("port", ["api", "ops"])
@pytest.mark.parametrize(
    ("parts", "forever", "deadline_s", "words"),
    [
        ((), b"", HEADER_S, b"408"),
        ((HALF_HEADER,), b"", HEADER_S, b"408"),
        ((HALF_HEADER,), b"a", HEADER_S, b"408"),
        ((), b"\r\n", HEADER_S, b"408"),
    ],
    ids=["nothing", "half a header", "a dripping header", "dripping empty lines"],
)
async def test_300_connections_without_a_whole_header_are_closed(
    port: str, parts: tuple[bytes, ...], forever: bytes, deadline_s: float, words: bytes
):
    async with serving() as served:
        number = getattr(served, port)
        every = await asyncio.gather(*(ended(number, *parts, forever=forever) for _ in range(300)))
        assert all(deadline_s * 0.9 < seconds < deadline_s + SLACK_S for seconds, _ in every)
        assert all(said.startswith(b"HTTP/1.1 " + words) or not said for _, said in every)
        assert await asked(served.ops) == b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize("forever", [b"", b"a"], ids=["half a body", "a dripping body"])
async def test_300_connections_without_a_whole_body_are_closed(forever: bytes):
    async with serving() as served:
        every = await asyncio.gather(*(ended(served.api, HALF_BODY, forever=forever) for _ in range(300)))
        assert all(seconds > BODY_S * 0.9 for seconds, _ in every)
        assert all(said.startswith(b"HTTP/1.1 408 ") or not said for _, said in every)
        assert any(said for _, said in every)
        await eventually(lambda: served.disconnected == 300, within_s=30)


async def test_a_chunked_body_without_an_end_is_closed():
    async with serving() as served:
        head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        _, said = await ended(served.api, head, forever=b"1\r\na\r\n")
        assert said.startswith(b"HTTP/1.1 408 ") or not said


async def test_a_body_that_drips_on_after_its_answer_is_closed():
    async with serving() as served:
        early = HALF_BODY.replace(b"/echo", b"/refuse")
        for forever in (b"a", b""):
            _, said = await ended(served.api, early, forever=forever)
            assert said.startswith(b"HTTP/1.1 401 ")
            assert b"408" not in said


async def test_idle_connections_are_closed_and_so_is_half_a_second_request():
    async with serving() as served:
        for more, forever in ((b"", b""), (HALF_HEADER, b""), (HALF_HEADER, b"a"), (b"", b"\r\n")):
            seconds, said = await ended(served.ops, REQUEST + more, forever=forever)
            assert said.startswith(b"HTTP/1.1 200 OK\r\n")
            assert seconds > KEEP_ALIVE_S * 0.9


async def test_an_idle_connection_after_a_late_body_is_closed():
    """The rest of a body that comes after its answer must not leave the connection without any deadline."""
    async with serving() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.api)
        writer.write(b"POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
        assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
        writer.write(b"cd")
        async with asyncio.timeout(SLACK_S):
            await reader.read()
        writer.close()


async def test_a_connection_is_used_again_within_the_deadlines():
    async with serving(**SHORT) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.ops)
        begun_s = time.monotonic()
        while time.monotonic() - begun_s < 2 * SHORT_SUM_S:
            writer.write(REQUEST[:10])
            await asyncio.sleep(0.01)
            writer.write(REQUEST[10:])
            assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
            await reader.readuntil(b"\r\n\r\nok")
        writer.close()


async def test_a_stream_outlives_every_deadline():
    async with serving(**SHORT) as served:
        seconds, said = await ended(
            served.api, b"GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        assert said.count(b"data: ") == 4
        assert seconds > SHORT_SUM_S


async def test_connections_over_the_limit_are_refused_while_those_before_go_on():
    async with serving(http_connections_max=10, http_header_timeout_s=60) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.api)
        rest = [await asyncio.open_connection("127.0.0.1", served.api) for _ in range(9)]
        before = _closed("connections")
        over = await asyncio.gather(*(ended(served.api) for _ in range(40)))
        assert all(said.startswith(b"HTTP/1.1 503 ") for _, said in over)
        assert all(b"\r\nretry-after: 1\r\n" in said for _, said in over)
        assert _closed("connections") == before + 40
        writer.write(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd")
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        assert await asked(served.ops) == b"HTTP/1.1 200 OK\r\n"
        for _, other in [*rest, (reader, writer)]:
            other.close()
            await other.wait_closed()
        echo = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        await eventually(lambda: _is_ok(served.api, echo), within_s=30)


async def _is_ok(port: int, request: bytes) -> bool:
    return await asked(port, request) == b"HTTP/1.1 200 OK\r\n"


async def test_a_header_without_end_is_refused_by_its_size():
    async with serving(http_header_timeout_s=60) as served:
        before = _closed("header_bytes")
        _, said = await ended(served.api, HALF_HEADER, forever=b"a" * 8192, every_s=0.0)
        assert said.startswith(b"HTTP/1.1 431 ") or not said
        assert _closed("header_bytes") == before + 1


def _small_window() -> socket.socket:
    """Return a socket whose peer can send hardly more than is read."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.setblocking(False)
    return made


@pytest.mark.parametrize(
    ("request_bytes", "behind"),
    [
        (b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" * 4, b""),
        (b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n", b""),
        (b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b""),
        (b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n", b"no request\r\n\r\n"),
    ],
    ids=["four answers", "an idle connection", "a closed connection", "a bad request behind"],
)
async def test_a_client_that_never_reads_its_answer_loses_its_connection(request_bytes: bytes, behind: bytes):
    async with serving() as served:
        await eventually(lambda: served.connections() == 0, within_s=30)
        before = _closed("unread")
        with _small_window() as client:
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, ("127.0.0.1", served.api))
            await loop.sock_sendall(client, request_bytes)
            await eventually(lambda: served.connections() == 1, within_s=30)
            await asyncio.sleep(KEEP_ALIVE_S / 2)
            await loop.sock_sendall(client, behind)
            await eventually(lambda: served.connections() == 0, within_s=30)
        assert _closed("unread") == before + 1


async def test_a_stream_whose_client_reads_slower_than_it_is_written_lives_on():
    unread_s = 0.4
    async with serving(http_unread_timeout_s=unread_s) as served:
        with _small_window() as client:
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, ("127.0.0.1", served.api))
            await loop.sock_sendall(client, b"GET /steady HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            said, begun_s = 0, time.monotonic()
            while chunk := await loop.sock_recv(client, 65536):
                said += len(chunk)
                if time.monotonic() - begun_s < 4 * unread_s:
                    await asyncio.sleep(0.05)
            assert said > STEADY_PIECES * len(STEADY_PIECE)
            assert time.monotonic() - begun_s > 4 * unread_s


CHUNKED = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("begun", "forever"),
    [
        (b"1\r\na\r\n0\r\n", b"a:b\r\n" * 1600),
        (b"1\r\na\r\n0\r\na: ", b"b" * 8192),
        (b"1;", b"a" * 8192),
    ],
    ids=["many trailers", "one endless trailer", "an endless chunk extension"],
)
async def test_what_is_no_body_is_bounded_behind_the_header_too(begun: bytes, forever: bytes):
    async with serving(http_body_timeout_s=60) as served:
        before = _closed("header_bytes")
        _, said = await ended(served.api, CHUNKED + begun, forever=forever, every_s=0.0)
        assert said.startswith(b"HTTP/1.1 431 ") or not said
        assert _closed("header_bytes") == before + 1


async def test_a_large_body_in_chunks_is_read_and_its_trailers_are_dropped():
    async with serving(http_body_timeout_s=60) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.api)
        writer.write(CHUNKED)
        for size in (1_000_000, 100, 4_000_000):
            writer.write(b"%x\r\n" % size + b"a" * size + b"\r\n")
            await writer.drain()
        writer.write(b"1\r\na\r\n" * 60_000 + b"0\r\nX-Late: yes\r\nX-Later: yes\r\n\r\n")
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        assert (await reader.readuntil(b"\r\n\r\n")).endswith(b"\r\n\r\n")
        assert await reader.readexactly(7) == b"5060100"
        assert {b"x-late", b"x-later"}.isdisjoint(served.names)
        writer.close()


@pytest.mark.parametrize("behind", [HALF_HEADER, HALF_BODY])
async def test_half_a_request_behind_one_in_progress_waits_for_its_answer_and_is_closed_then(behind: bytes):
    async with serving(**SHORT) as served:
        request = b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"
        _, said = await ended(served.api, request + behind)
        assert said.count(b"data: ") == 4


def _closed(limit: str) -> float:
    return HTTP_CONNECTIONS_CLOSED.labels(limit)._value.get()


@pytest.mark.parametrize("name", ["ingest", "router", "scorer", "ledger", "delivery"])
def test_every_service_has_the_limits_and_trusts_no_proxy_by_default(name: str):
    """Each main builds the runtime's Service, whose listeners are the ones tested here."""
    model = getattr(importlib.import_module(f"services.{name}.settings"), f"{name.capitalize()}Settings")
    fields = {key: field.default for key, field in model.model_fields.items() if key.startswith("http_")}
    fields.pop("http_port", None)
    assert fields == {
        "http_header_timeout_s": 10.0,
        "http_body_timeout_s": 60.0,
        "http_keep_alive_timeout_s": 5.0,
        "http_unread_timeout_s": 30.0,
        "http_connections_max": 800,
        "http_trusted_proxies": (),
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"http_header_timeout_s": 0},
        {"http_body_timeout_s": 3601},
        {"http_keep_alive_timeout_s": -1},
        {"http_unread_timeout_s": 0},
        {"http_connections_max": 0},
        {"http_trusted_proxies": ["*"]},
        {"http_trusted_proxies": ["10.0.0.1/8"]},
        {"http_trusted_proxies": ["proxy.example.test"]},
    ],
)
def test_a_limit_out_of_bounds_or_a_proxy_by_name_is_refused(changes: dict):
    with pytest.raises(ValidationError):
        settings(**changes)
