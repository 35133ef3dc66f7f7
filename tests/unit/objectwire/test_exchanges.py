"""Requests and answers over sockets: connections that stay, forms of answers, limits of size and number."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.eventually import eventually
from tests.support.servers.scripted_store import Act, answer, chunked, in_pieces, length_of, never, then_close
from tests.unit.objectwire.meeting import ON_BOTH_LOOPS, PICTURE, Run, meeting
from winnow.objectwire.connection import BrokenExchange, RefusedRequest
from winnow.objectwire.pool import Limits


@ON_BOTH_LOOPS
def test_requests_after_each_other_share_a_connection(run: Run) -> None:
    async def story() -> None:
        async with meeting(answer(200), answer(200, PICTURE), answer(404, b"<Error/>"), answer(200)) as (
            store,
            wire,
        ):
            await wire.put("bucket", "a b/ü+.jpg", PICTURE, "image/jpeg")
            assert await wire.get("bucket", "a b/ü+.jpg", len(PICTURE)) == PICTURE
            with pytest.raises(RefusedRequest, match="404"):
                await wire.get("bucket", "absent", 100)
            await wire.put("bucket", "empty", b"", "text/plain")
            assert store.connections == 1
            assert store.bodies == [PICTURE, b"", b"", b""]
            assert [head.partition(b" HTTP")[0] for head in store.heads] == [
                b"PUT /bucket/a%20b/%C3%BC%2B.jpg",
                b"GET /bucket/a%20b/%C3%BC%2B.jpg",
                b"GET /bucket/absent",
                b"PUT /bucket/empty",
            ]
            assert all(
                b"\r\nauthorization:AWS4-HMAC-SHA256 Credential=access/" in head for head in store.heads
            )
            assert b"\r\ncontent-type:image/jpeg\r\n" in store.heads[0]

    run(story())


@ON_BOTH_LOOPS
@pytest.mark.parametrize("size", [1, 7, 4096, len(PICTURE)])
def test_an_answer_in_chunks_is_read_whole(run: Run, size: int) -> None:
    async def story() -> None:
        async with meeting(chunked(PICTURE, size), answer(200, b"next")) as (store, wire):
            assert await wire.get("bucket", "key", len(PICTURE)) == PICTURE
            assert await wire.get("bucket", "key", 4) == b"next"
            assert store.connections == 1

    run(story())


@ON_BOTH_LOOPS
@pytest.mark.parametrize("words", [answer(200, b"slowly"), chunked(b"slowly", 2)], ids=["length", "chunks"])
def test_an_answer_a_byte_at_a_time_is_read_whole(run: Run, words: bytes) -> None:
    async def story() -> None:
        limits = Limits(silent_s=0.5, tick_s=0.1)
        async with meeting(in_pieces(words, 0.01), limits=limits) as (_, wire):
            assert await wire.get("bucket", "key", 6) == b"slowly"

    run(story())


@ON_BOTH_LOOPS
def test_an_interim_answer_is_no_answer(run: Run) -> None:
    async def story() -> None:
        interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        async with meeting(interim + answer(200, b"content"), interim + answer(404)) as (store, wire):
            assert await wire.get("bucket", "key", 10) == b"content"
            with pytest.raises(RefusedRequest, match="404"):
                await wire.head("bucket", "key")
            assert store.connections == 1

    run(story())


@ON_BOTH_LOOPS
def test_an_answer_to_head_announces_content_that_does_not_come(run: Run) -> None:
    async def story() -> None:
        without_length = b"HTTP/1.1 200 OK\r\n\r\n"
        script = (answer(200)[:-5] + b"4096\r\n\r\n", without_length, answer(200, b"content"))
        async with meeting(*script) as (store, wire):
            await wire.head("bucket", "key")
            await wire.head("bucket")
            assert await wire.get("bucket", "key", 10) == b"content"
            assert store.connections == 1
            assert store.heads[1].startswith(b"HEAD /bucket HTTP/1.1\r\n")

    run(story())


@ON_BOTH_LOOPS
@pytest.mark.parametrize(
    "ends", [answer(200, b"", "Connection: close"), b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"]
)
@pytest.mark.parametrize("method", ["head", "put"])
def test_a_connection_that_the_store_will_end_is_not_used_again(run: Run, ends: bytes, method: str) -> None:
    async def story() -> None:
        async with meeting(ends) as (store, wire):
            if method == "head":
                await wire.head("bucket", "key")
            else:
                await wire.put("bucket", "key", b"x", "text/plain")
            await wire.head("bucket", "key")
            assert store.connections == 2

    run(story())


@ON_BOTH_LOOPS
@pytest.mark.parametrize(
    ("script", "size_max"),
    [
        (answer(200, PICTURE), len(PICTURE) - 1),
        (then_close(answer(200, PICTURE)[:-5000]), 100),
        (chunked(PICTURE, 100), 99),
        (chunked(PICTURE, 100), len(PICTURE) - 1),
        (chunked(b"x", 1), 0),
    ],
)
def test_content_beyond_the_limit_is_refused_and_ends_the_connection(
    run: Run, script: bytes | Act, size_max: int
) -> None:
    async def story() -> None:
        async with meeting(script, answer(200, b"next")) as (store, wire):
            with pytest.raises(ValueError, match="larger than allowed"):
                await wire.get("bucket", "key", size_max)
            assert await wire.get("bucket", "key", 4) == b"next"
            assert store.connections == 2

    run(story())


@ON_BOTH_LOOPS
def test_announced_content_beyond_the_limit_is_refused_before_it_comes(run: Run) -> None:
    async def only_the_head(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 101\r\n\r\n")
        return await never(_reader, writer)

    async def story() -> None:
        async with meeting(only_the_head) as (store, wire):
            with pytest.raises(ValueError, match="larger than allowed"):
                await wire.get("bucket", "key", 100)
            assert len(store.heads) == 1

    run(story())


@ON_BOTH_LOOPS
def test_a_body_larger_than_the_buffers_of_sockets_arrives_whole(run: Run) -> None:
    body = PICTURE * 3000

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read for longer than silence may last, while more waits than the kernel holds."""
        got = bytearray()
        while len(got) < len(body):
            await asyncio.sleep(0.01 if len(got) < len(body) / 2 else 0)
            got += await reader.read(262_144)
        assert bytes(got) == body
        writer.write(answer(200))
        return True

    async def story() -> None:
        limits = Limits(silent_s=0.5, tick_s=0.1)
        async with meeting(slowly, limits=limits) as (store, wire):
            await wire.put("bucket", "key", body, "image/jpeg")
            assert length_of(store.heads[0]) == len(body)
            await wire.head("bucket")
            assert store.connections == 1

    run(story())


@ON_BOTH_LOOPS
def test_no_more_connections_than_allowed_are_open(run: Run) -> None:
    async def story() -> None:
        limits = Limits(connections=3)
        script = [in_pieces(answer(200, b"content"), 0.001) for _ in range(12)]
        async with meeting(*script, limits=limits) as (store, wire):
            got = await asyncio.gather(*(wire.get("bucket", "key", 10) for _ in range(12)))
            assert got == [b"content"] * 12
            assert (store.connections, store.open_max) == (3, 3)

    run(story())


@ON_BOTH_LOOPS
def test_a_connection_that_nobody_needs_is_ended(run: Run) -> None:
    async def story() -> None:
        async with meeting(limits=Limits(idle_s=0.1, tick_s=0.02)) as (store, wire):
            await wire.head("bucket")
            await eventually(lambda: store.open == 0)
            await wire.head("bucket")
            assert store.connections == 2

    run(story())


@ON_BOTH_LOOPS
def test_close_ends_what_is_open_and_what_waits(run: Run) -> None:
    async def story() -> None:
        async with meeting(answer(200), never) as (store, wire):
            await wire.head("bucket")
            waits = asyncio.create_task(wire.head("bucket"))
            await eventually(lambda: len(store.heads) == 2)
            await wire.close()
            with pytest.raises(BrokenExchange):
                await waits
            with pytest.raises(BrokenExchange):
                await wire.head("bucket")
            await eventually(lambda: store.open == 0)
            assert len(store.heads) == 2

    run(story())
