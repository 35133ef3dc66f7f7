"""Bodies and streams over real sockets: a slow reader lives on, a reader that stopped does not."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from tests.support.eventually import eventually
from tests.support.raw_http import HALF_BODY, HALF_HEADER, KEEP_ALIVE_S, ended
from tests.unit.runtime.served import SHORT, SHORT_SUM_S, STEADY_PIECE, STEADY_PIECES, closed, serving

pytestmark = pytest.mark.timeout(120)


async def test_a_stream_outlives_every_deadline():
    async with serving(**SHORT) as served:
        seconds, said = await ended(
            served.api, b"GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        assert said.count(b"data: ") == 4
        assert seconds > SHORT_SUM_S


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
        before = closed("unread")
        with _small_window() as client:
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, ("127.0.0.1", served.api))
            await loop.sock_sendall(client, request_bytes)
            await eventually(lambda: served.connections() == 1, within_s=30)
            await asyncio.sleep(KEEP_ALIVE_S / 2)
            await loop.sock_sendall(client, behind)
            await eventually(lambda: served.connections() == 0, within_s=30)
        assert closed("unread") == before + 1


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
        before = closed("header_bytes")
        _, said = await ended(served.api, CHUNKED + begun, forever=forever, every_s=0.0)
        assert said.startswith(b"HTTP/1.1 431 ") or not said
        assert closed("header_bytes") == before + 1


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
