"""Calls that break, drip, redirect or are never delivered, and what each means for money."""

from __future__ import annotations

import asyncio

import pytest

from services.router.domain.calls import Accepted, CallRefused, Unknown
from tests.contract.router.provider_calls import (
    GENERATION,
    IMPATIENT,
    PROVIDERS,
    calling,
    http,
    server,
    submit,
)
from tests.support.servers.connections import listening
from winnow.contracts.values import OutcomeClass


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
