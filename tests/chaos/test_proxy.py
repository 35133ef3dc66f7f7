"""The proxies do what a scenario says they do: else a scenario would prove nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.chaos import front
from tests.chaos.front import Answer, Front
from tests.chaos.proxy import CLEAR, Proxy, Weather
from tests.support.eventually import eventually
from tests.support.servers.connections import listening

_BODY = b"x" * 5000


@pytest.fixture
async def origin() -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {len(_BODY)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + _BODY)
        await writer.drain()

    async with listening(serve) as port:
        yield port


async def _get(port: int, timeout_s: float = 5.0) -> httpx.Response:
    async with httpx.AsyncClient(timeout=timeout_s, trust_env=False) as http:
        return await http.get(f"http://127.0.0.1:{port}/files/one")


async def test_weather(origin: int) -> None:
    proxy = await Proxy("127.0.0.1", origin).start()
    assert (await _get(proxy.port)).content == _BODY
    proxy.set(Weather(delay_s=0.2))
    started_s = time.monotonic()
    assert (await _get(proxy.port)).content == _BODY
    assert time.monotonic() - started_s >= 0.4
    proxy.set(Weather(delay_s=0.01, drip_bytes=500))
    assert (await _get(proxy.port)).content == _BODY
    for weather in (Weather(refuses=True), Weather(cut_after_bytes=100)):
        proxy.set(weather)
        with pytest.raises(httpx.TransportError):
            await _get(proxy.port)
    proxy.set(Weather(one_way=True))
    with pytest.raises(httpx.TransportError):
        await _get(proxy.port)
    proxy.set(Weather(swallows=True))
    with pytest.raises(httpx.TimeoutException):
        await _get(proxy.port, 0.3)
    proxy.set(CLEAR)
    assert (await _get(proxy.port)).content == _BODY
    await proxy.stop()


async def test_what_a_one_way_network_robbed_of_its_answer_is_cut_when_it_clears() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"?")
        writer.write(b"!")
        await reader.read()

    async with listening(serve) as port:
        proxy = await Proxy("127.0.0.1", port).start()
        proxy.set(Weather(one_way=True))
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"?")
        await eventually(lambda: proxy.dropped_bytes == 1)
        proxy.set(CLEAR)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 5)
        writer.close()
        await proxy.stop()


@pytest.mark.parametrize("stand", [Front, Proxy])
async def test_a_stopped_one_leaves_no_connection_behind_whatever_is_under_way(
    stand: type[Front | Proxy],
) -> None:
    reached = asyncio.Event()

    async def never(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        reached.set()
        await asyncio.Event().wait()

    before = asyncio.all_tasks()
    async with listening(never) as port:
        server = await stand("127.0.0.1", port).start()
        half, whole = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
        half[1].write(b"GET /files/one HTT")
        whole[1].write(b"GET /files/one HTTP/1.1\r\nhost: x\r\n\r\n")
        await reached.wait()
        await server.stop()
        for reader, writer in (half, whole):
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
    assert asyncio.all_tasks() == before


async def test_answers_are_spoilt_as_asked(origin: int) -> None:
    proxy = await Front("127.0.0.1", origin).start()
    assert (await _get(proxy.port)).content == _BODY
    proxy.spoil = front.on_files(front.halved)
    assert (await _get(proxy.port)).content == _BODY[:2500]
    proxy.spoil = front.on_files(front.with_body(b""))
    assert (await _get(proxy.port)).content == b""
    proxy.spoil = front.on_files(front.short)
    with pytest.raises(httpx.RemoteProtocolError):
        await _get(proxy.port)
    proxy.spoil = front.on_answers(front.halved)
    assert (await _get(proxy.port)).content == _BODY
    proxy.spoil = lambda _method, _path, _answer: Answer(200, "text/plain", b"ab", drip_s=0.1)
    assert (await _get(proxy.port)).content == b"ab"
    assert proxy.spoilt_count == 4
    await proxy.stop()
