"""Meaning of each answer of a provider for money, on a server that answers to order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from services.router.clients.wire import Wire, is_allowed
from services.router.domain.calls import (
    Accepted,
    CallRefused,
    CollectFailed,
    Finished,
    Generation,
    ImageRef,
    Running,
    Unknown,
)
from services.router.domain.catalogue import CallLimits
from tests.contract.router.builders import adapter, offering_of
from tests.support.connections import listening
from winnow.contracts.values import OutcomeClass
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


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_refused_connection_was_never_delivered(provider: str) -> None:
    async with calling(provider, "http://127.0.0.1:9") as (client, offering):
        reply = await client.submit(offering, GENERATION)
    assert isinstance(reply, CallRefused)
    assert reply.outcome is OutcomeClass.never_delivered
    assert not reply.billed


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    "answer",
    [None, b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", b"garbage\r\n\r\n"],
    ids=["closed without a word", "cut short", "not HTTP"],
)
async def test_a_reply_that_breaks_is_an_unknown_outcome(provider: str, answer: bytes | None) -> None:
    assert isinstance(await submit(provider, answer), Unknown)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_dripping_reply_ends_at_the_deadline_of_the_call(provider: str) -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.1)

    async with (
        listening(drip) as port,
        calling(provider, f"http://127.0.0.1:{port}", limits=IMPATIENT) as (client, offering),
        asyncio.timeout(3),
    ):
        assert isinstance(await client.submit(offering, GENERATION), Unknown)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_reply_above_the_cap_is_not_read_on(provider: str) -> None:
    reply = await submit(provider, http(200, b" " * 5000))
    assert isinstance(reply, Unknown)
    assert reply.reason == "reply_too_large"


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_redirect_is_not_followed(provider: str) -> None:
    assert isinstance(await submit(provider, http(307, Location="http://127.0.0.1:1/")), Unknown)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(("text", "wait_s"), [("7", 7.0), ("0.5", 0.5), ("soon", None), ("99999", 600.0)])
async def test_a_429_says_when_to_come_back(provider: str, text: str, wait_s: float | None) -> None:
    reply = await submit(provider, http(429, Retry_After=text))
    assert isinstance(reply, CallRefused)
    assert (reply.outcome, reply.reason) == (OutcomeClass.rejected_without_work, "rate_limited")
    assert reply.retry_after_s == wait_s


async def test_a_date_in_retry_after_is_read() -> None:
    reply = await submit("fal", http(429, Retry_After="Fri, 31 Dec 2100 23:59:59 GMT"))
    assert isinstance(reply, CallRefused)
    assert reply.retry_after_s == 600.0


@pytest.mark.parametrize(
    ("provider", "status", "known"),
    [
        ("fal", 500, True),
        ("fal", 502, False),
        ("fal", 503, True),
        ("fal", 504, False),
        ("replicate", 500, False),
        ("replicate", 503, True),
        ("openai", 500, False),
        ("openai", 502, False),
        ("openai", 503, True),
    ],
)
async def test_a_server_error_is_free_only_where_that_is_known(
    provider: str, status: int, known: bool
) -> None:
    reply = await submit(provider, http(status))
    assert isinstance(reply, CallRefused if known else Unknown)
    if isinstance(reply, CallRefused):
        assert reply.outcome is OutcomeClass.rejected_without_work
        assert not reply.permanent


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(("status", "permanent"), [(400, True), (401, False), (402, False), (422, True)])
async def test_a_refusal_is_free_and_says_whether_it_is_the_requests_fault(
    provider: str, status: int, permanent: bool
) -> None:
    reply = await submit(provider, http(status))
    assert isinstance(reply, CallRefused)
    assert (reply.billed, reply.permanent) == (False, permanent)


async def test_openai_names_a_moderated_prompt() -> None:
    reply = await submit("openai", http(400, {"error": {"code": "moderation_blocked"}}))
    assert isinstance(reply, CallRefused)
    assert reply.reason == "content_policy"


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_success_that_cannot_be_read_is_an_unknown_outcome(provider: str) -> None:
    assert isinstance(await submit(provider, http(201, b"[]")), Unknown)


async def test_openai_computes_the_cost_from_the_usage() -> None:
    body = {"data": [{"b64_json": "AAAA"}, {"b64_json": "%%"}], "usage": {"output_tokens": 100}}
    reply = await submit("openai", http(200, body), output_token_price_usd_micro=40)
    assert isinstance(reply, Finished)
    assert reply.cost_usd_micro == 4000
    assert [image.content for image in reply.images] == [b"\x00\x00\x00", None]


async def test_the_key_is_sent_to_no_other_host() -> None:
    elsewhere = {
        "request_id": "r1",
        "status_url": "https://evil.example/s",
        "response_url": "http://10.0.0.1/",
    }
    async with server(http(200, elsewhere)) as (url, _), calling("fal", url) as (client, offering):
        reply = await client.submit(offering, GENERATION)
    assert isinstance(reply, Accepted)
    assert all(link.startswith(f"{url}/fal-ai/flux/requests/r1") for link in reply.handle.values())


async def test_a_replicate_failure_costs_nothing_and_a_cancel_after_the_start_does() -> None:
    prediction = {"id": "p", "status": "failed", "error": "boom"}
    failed = await submit("replicate", http(201, prediction))
    assert isinstance(failed, CallRefused)
    assert (failed.billed, failed.permanent) == (False, False)
    cancelled = await submit("replicate", http(201, prediction | {"status": "canceled", "started_at": "x"}))
    assert isinstance(cancelled, CallRefused)
    assert cancelled.billed
    aborted = await submit("replicate", http(201, prediction | {"status": "aborted"}))
    assert isinstance(aborted, CallRefused)
    assert not aborted.billed


@pytest.mark.parametrize("provider", ["fal", "replicate"])
@pytest.mark.parametrize("answer", [None, http(500), http(503), http(429, Retry_After="3")])
async def test_a_poll_without_an_answer_means_look_again(provider: str, answer: bytes | None) -> None:
    async with server(answer) as (url, _), calling(provider, url) as (client, offering):
        handle = {name: f"{url}/{name}/status" for name in ("status_url", "response_url", "get")}
        assert isinstance(await client.poll(offering, handle), Running)


@pytest.mark.parametrize("provider", ["fal", "replicate"])
async def test_a_reference_that_is_gone_is_an_unknown_outcome(provider: str) -> None:
    async with server(http(404)) as (url, _), calling(provider, url) as (client, offering):
        handle = dict.fromkeys(("status_url", "response_url", "get"), f"{url}/x")
        assert isinstance(await client.poll(offering, handle), Unknown)


@pytest.mark.parametrize(
    ("inference_s", "billed"), [(0, False), (1.5, True)], ids=["before it ran", "while it ran"]
)
async def test_a_fal_422_is_billed_only_if_a_machine_ran(inference_s: float, billed: bool) -> None:
    def answer(request: bytes) -> bytes:
        if b"/status" in request.split(b"\r\n")[0]:
            return http(200, {"status": "COMPLETED", "metrics": {"inference_time": inference_s}})
        return http(422, {"detail": [{"type": "content_policy_violation"}]})

    async with server(answer) as (url, _), calling("fal", url) as (client, offering):
        reply = await client.poll(offering, {"status_url": f"{url}/a/status", "response_url": f"{url}/a"})
    assert isinstance(reply, CallRefused)
    assert (reply.reason, reply.billed, reply.permanent) == ("content_policy", billed, True)


async def test_an_image_above_the_cap_is_not_collected() -> None:
    async with server(http(200, b"x" * 2000)) as (url, _), calling("fal", url) as (client, offering):
        with pytest.raises(CollectFailed) as failed:
            await client.collect(offering, ImageRef(url=f"{url}/i.jpg"))
    assert failed.value.reason == "not_collected"


async def test_a_collect_sends_no_key_and_follows_no_foreign_link() -> None:
    async with server(http(200, b"image")) as (url, requests), calling("fal", url) as (client, offering):
        assert await client.collect(offering, ImageRef(url=f"{url}/i.jpg")) == b"image"
        assert b"authorization" not in requests[0].lower()
        assert b"accept-encoding: identity" in requests[0].lower()
        with pytest.raises(CollectFailed) as failed:
            await client.collect(offering, ImageRef(url="http://169.254.169.254/latest"))
    assert (failed.value.reason, failed.value.may_retry) == ("link_not_allowed", False)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://queue.example.com/x", True),
        ("https://v3.media.example/x", True),
        ("https://media.example/x", False),
        ("https://cdn.example/x", True),
        ("http://cdn.example/x", False),
        ("https://cdn.example:8443/x", False),
        ("https://evilcdn.example/x", False),
        ("https://cdn.example.evil.org/x", False),
        ("https://cdn.example@evil.org/x", False),
        ("http://127.0.0.1/x", False),
        ("file:///etc/passwd", False),
        ("https://[::1", False),
        ("", False),
    ],
)
def test_links_lie_at_the_base_address_or_on_the_providers_hosts(url: str, allowed: bool) -> None:
    hosts = ("cdn.example", "*.media.example")
    assert is_allowed(url, base_url="https://queue.example.com", hosts=hosts) is allowed
