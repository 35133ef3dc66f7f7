"""A store that ends, hangs, fails and says nonsense: what is tried again, what is raised, and what is never mixed up."""

from __future__ import annotations

import asyncio
import logging
import traceback
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.servers.scripted_store import Act, answer, in_pieces, never, scripted, then_close
from tests.support.servers.tls import Authority
from tests.unit.objectwire.meeting import ON_BOTH_LOOPS, PICTURE, Run, meeting
from winnow.objectwire import wire as wire_module
from winnow.objectwire.connection import BrokenExchange, RefusedRequest
from winnow.objectwire.pool import Limits
from winnow.objectwire.wire import ObjectWire

SOON = Limits(silent_s=0.2, tick_s=0.05)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_module, "_FIRST_WAIT_S", 0.001)


@ON_BOTH_LOOPS
def test_a_kept_connection_that_the_store_has_ended_costs_no_try(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire_module, "_TRIES_MAX", 1)

    async def story() -> None:
        script = (then_close(answer(200)), answer(200), then_close(), answer(200, b"content"))
        async with meeting(*script) as (store, wire):
            await wire.head("bucket")
            await eventually(lambda: store.open == 0)
            # The end has come before the request, or comes while it is sent.
            await wire.put("bucket", "key", PICTURE, "image/jpeg")
            assert await wire.get("bucket", "key", 10) == b"content"
            assert (store.connections, len(store.heads)) == (3, 4)

    run(story())


@ON_BOTH_LOOPS
@pytest.mark.parametrize(
    "failure",
    [
        then_close(),
        then_close(b"HTTP/1.1 200"),
        then_close(answer(200, PICTURE)[:-1]),
        then_close(b"HTTP/1.1 200 OK\r\n\r\nwithout a length"),
        then_close(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort"),
        answer(500),
        answer(503, b"<Code>SlowDown</Code>"),
        b"\x00\xffno answer at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nContent-Length: minus\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Endless: " + b"x" * 70_000,
    ],
)
def test_a_failure_is_tried_again_and_a_lasting_one_is_unavailable(run: Run, failure: bytes | Act) -> None:
    async def story() -> None:
        # On a kept connection, an end before the answer would be no failure yet.
        whole = answer(200, PICTURE, "Connection: close")
        async with meeting(*[failure] * 3, whole, *[failure] * 4) as (store, wire):
            assert await wire.get("bucket", "key", len(PICTURE)) == PICTURE
            assert len(store.heads) == 4
            with pytest.raises((BrokenExchange, RefusedRequest)):
                await wire.get("bucket", "key", len(PICTURE))
            assert not store.script

    run(story())


@ON_BOTH_LOOPS
def test_absent_refused_and_redirected_are_not_tried_again(run: Run) -> None:
    async def story() -> None:
        moved = answer(307, b"", "Location: http://127.0.0.1:9/elsewhere")
        async with meeting(answer(404), answer(403, b"<Code>AccessDenied</Code>"), moved, answer(200)) as (
            store,
            wire,
        ):
            with pytest.raises(RefusedRequest, match="404"):
                await wire.head("bucket", "key")
            for _ in range(2):
                with pytest.raises(RefusedRequest):
                    await wire.put("bucket", "key", b"x", "image/png")
            assert (len(store.heads), store.connections) == (3, 1)

    run(story())


@ON_BOTH_LOOPS
@pytest.mark.parametrize(
    "refusal",
    [
        then_close(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n<Error>to the end of the connection"),
        then_close(answer(404, b"cut short")[:-3]),
        answer(404, b"x" * 100_000),
    ],
)
def test_a_refusal_counts_whatever_becomes_of_its_text(run: Run, refusal: bytes | Act) -> None:
    async def story() -> None:
        async with meeting(refusal, answer(200, b"next")) as (store, wire):
            with pytest.raises(RefusedRequest, match="404"):
                await wire.get("bucket", "key", 10)
            assert await wire.get("bucket", "key", 10) == b"next"
            assert store.connections == 2

    run(story())


@ON_BOTH_LOOPS
def test_a_refusal_before_the_body_is_sent_ends_the_connection(run: Run) -> None:
    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(answer(403))
        await writer.drain()
        await reader.read()
        return False

    async def story() -> None:
        async with meeting(early, answer(200)) as (store, wire):
            with pytest.raises(RefusedRequest):
                await wire.put("bucket", "key", PICTURE * 3000, "image/jpeg")
            await wire.head("bucket")
            assert store.connections == 2

    run(story())


@ON_BOTH_LOOPS
def test_a_silent_store_is_given_up_and_a_slow_answer_is_not(run: Run) -> None:
    async def story() -> None:
        slow = in_pieces(answer(200, b"x" * 40), 0.02)
        async with meeting(never, never, never, slow, *[never] * 4, limits=SOON) as (store, wire):
            assert await wire.get("bucket", "key", 40) == b"x" * 40
            with pytest.raises(BrokenExchange):
                await wire.put("bucket", "key", b"x", "text/plain")
            assert len(store.heads) == 8
            await eventually(lambda: store.open == 0)

    run(story())


@ON_BOTH_LOOPS
def test_who_gives_up_leaves_no_answer_to_the_next(run: Run) -> None:
    async def story() -> None:
        late = in_pieces(answer(200, b"of the first"), 0.005)
        async with meeting(late, answer(200, b"of the second")) as (store, wire):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await wire.get("bucket", "key", 100)
            assert await wire.get("bucket", "key", 100) == b"of the second"
            assert store.connections == 2

    run(story())


@ON_BOTH_LOOPS
def test_who_gives_up_ends_the_connection_at_once(run: Run) -> None:
    async def story() -> None:
        async with meeting(never) as (store, wire):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await wire.get("bucket", "key", 100)
            await eventually(lambda: (store.connections, store.open) == (1, 0))

    run(story())


@ON_BOTH_LOOPS
@pytest.mark.parametrize("first", [answer(200, b"first"), answer(404)])
@pytest.mark.parametrize("uncalled", [answer(200, b"of a stranger"), answer(404)])
def test_an_answer_that_nobody_asked_for_is_not_the_next_one_s(
    run: Run, first: bytes, uncalled: bytes
) -> None:
    async def story() -> None:
        async with meeting(first + uncalled, answer(200, b"second")) as (store, wire):
            try:
                assert await wire.get("bucket", "key", 100) == b"first"
            except RefusedRequest:
                assert b"404" in first
            assert await wire.get("bucket", "key", 100) == b"second"
            assert store.connections == 2

    run(story())


@ON_BOTH_LOOPS
def test_an_answer_to_head_with_a_body_is_not_the_next_one_s(run: Run) -> None:
    async def story() -> None:
        async with meeting(answer(200, b"HTTP/1.1 200 OK\r\n\r\n"), answer(200, b"own")) as (store, wire):
            await wire.head("bucket", "key")
            assert await wire.get("bucket", "key", 100) == b"own"
            assert store.connections == 2

    run(story())


@ON_BOTH_LOOPS
def test_words_on_an_idle_connection_end_it(run: Run) -> None:
    async def story() -> None:
        async def talkative(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
            writer.write(answer(200))
            await asyncio.sleep(0.05)
            writer.write(answer(200, b"of a stranger"))
            return await never(_reader, writer)

        async with meeting(talkative, answer(200, b"own")) as (store, wire):
            await wire.head("bucket")
            await eventually(lambda: store.open == 0)
            assert await wire.get("bucket", "key", 100) == b"own"

    run(story())


@ON_BOTH_LOOPS
@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:9", "http://no.such.host.invalid", f"http://{'x' * 70}.test"]
)
def test_a_store_that_is_not_there_is_unavailable(run: Run, endpoint: str) -> None:
    async def story() -> None:
        wire = ObjectWire(endpoint, "us-east-1", "access", "secret")
        with pytest.raises(BrokenExchange):
            await wire.head("bucket")
        await wire.close()

    run(story())


@ON_BOTH_LOOPS
def test_a_handshake_that_never_begins_is_given_up(run: Run) -> None:
    async def story() -> None:
        async with scripted(*[never] * 4) as store:
            endpoint = store.endpoint.replace("http", "https")
            wire = ObjectWire(endpoint, "r", "a", "s", limits=Limits(connect_s=0.1))
            with pytest.raises(BrokenExchange):
                await wire.head("bucket")
            await wire.close()

    run(story())


@ON_BOTH_LOOPS
def test_certificates_are_judged_by_what_the_machine_trusts(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    host = "127.0.0.1"

    async def story() -> None:
        script = (answer(200), answer(200, PICTURE), then_close(), answer(200, PICTURE))
        async with scripted(*script, context=authority.good(host)) as store:
            wire = ObjectWire(store.endpoint.replace("http", "https"), "r", "a", "s")
            await wire.put("bucket", "key", PICTURE * 500, "image/jpeg")
            assert await wire.get("bucket", "key", len(PICTURE)) == PICTURE
            assert store.connections == 1
            assert await wire.get("bucket", "key", len(PICTURE)) == PICTURE
            assert store.connections == 2
            await wire.close()
        wrong = (authority.of_a_stranger(host), authority.expired(host), authority.good("other.example.test"))
        for context in (*wrong, authority.self_signed()):
            async with scripted(context=context) as store:
                wire = ObjectWire(store.endpoint.replace("http", "https"), "r", "a", "s")
                with pytest.raises(BrokenExchange):
                    await wire.get("bucket", "key", 100)
                assert store.heads == []
                await wire.close()

    run(story())


@ON_BOTH_LOOPS
def test_no_key_no_signature_and_no_object_is_told(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    bucket, key, *keys = "bucket", "tasks/private", "access-key", "secret-key"

    async def story() -> None:
        asyncio.get_running_loop().set_debug(True)
        async with scripted(answer(200), answer(403), *[then_close()] * 5) as store:
            wire = ObjectWire(store.endpoint, "us-east-1", *keys)
            await wire.put(bucket, key, b"words", "text/plain")
            for _ in range(2):
                try:
                    await wire.get(bucket, key, 10)
                except (BrokenExchange, RefusedRequest) as error:
                    said.extend(traceback.format_exception(error))
            wire.link(bucket, key, expires_in_s=60, filename="f", content_type="t")
            said.extend([repr(wire), repr(vars(wire))])
            await wire.close()

    run(story())
    told = "\n".join([*said, caplog.text])
    assert "RefusedRequest" in told
    assert "StaleConnection" in told
    for word in (*keys, key, "Signature="):
        assert word not in told
