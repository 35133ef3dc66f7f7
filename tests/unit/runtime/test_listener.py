"""Unfinished and idle connections over real sockets: each is closed at its deadline."""

from __future__ import annotations

import asyncio
import time

import pytest

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
)
from tests.unit.runtime.served import SHORT, SHORT_SUM_S, serving

pytestmark = pytest.mark.timeout(120)


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
