"""Ingest's routes on a real listener: whose address a request has, and bodies that never end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest
from structlog.testing import capture_logs

from services.ingest.api.app_factory import build_app, wrap_app
from tests.support.eventually import eventually
from tests.support.raw_http import HALF_BODY, ended, settings
from tests.unit.ingest.fakes import CREDIT
from tests.unit.ingest.ingest_app import IngestApp
from winnow.local.ports import choose
from winnow.runtime.listener import http_server

BURST = 5
"""Failed proofs that an address of the tests may make at once."""


@contextlib.asynccontextmanager
async def serving(*proxies: str, **changes: object) -> AsyncIterator[httpx.AsyncClient]:
    """Ingest's routes on a real listener of the runtime, and a client of it on loopback."""
    port = choose(["http"], {})["http"]
    world = IngestApp()
    world.clock.durations_pass = False  # No bucket fills up again, however slow the machine is.
    app = wrap_app(build_app(world.cases, CREDIT), lambda count: bytes(range(count)))
    server = http_server(app, port, settings(http_trusted_proxies=proxies, **changes))
    running = asyncio.create_task(server.serve())
    try:
        await eventually(lambda: server.started)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            client.headers["x-key"] = (await world.key())["Authorization"]
            yield client
    finally:
        server.should_exit = True
        await running


async def statuses(client: httpx.AsyncClient, *forwarded: str) -> list[int]:
    """Fail to prove a key once for each header; none is rate limited by the key."""
    answers = []
    for address in forwarded:
        headers = {"Authorization": "Bearer wrong", "X-Forwarded-For": address}
        answers.append((await client.get("/v1/account", headers=headers)).status_code)
    return answers


async def test_a_forged_header_from_loopback_does_not_dodge_the_limit_on_failed_proofs():
    async with serving() as client:
        made = await statuses(client, *(f"198.51.100.{number}" for number in range(BURST + 5)))
    assert made == [401] * BURST + [429] * 5


async def test_a_forged_header_from_a_peer_that_is_no_trusted_proxy_is_ignored():
    async with serving("10.0.0.0/8", "::1/128") as client:
        made = await statuses(client, *(f"198.51.100.{number}" for number in range(BURST + 5)))
    assert made == [401] * BURST + [429] * 5


async def test_behind_a_trusted_proxy_the_right_most_untrusted_hop_is_the_address():
    async with serving("127.0.0.0/8", "10.0.0.0/8") as client:
        forged = [f"198.51.100.{number}, 203.0.113.7, 10.0.0.3" for number in range(BURST + 2)]
        assert await statuses(client, *forged) == [401] * BURST + [429] * 2
        assert await statuses(client, "203.0.113.7:4711") == [429]
        assert await statuses(client, "203.0.113.8", "203.0.113.7, 203.0.113.9") == [401, 401]


async def test_the_environment_of_the_server_library_trusts_nobody(monkeypatch):
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    async with serving() as client:
        made = await statuses(client, *(f"198.51.100.{number}" for number in range(BURST + 1)))
    assert made[-1] == 429


@pytest.mark.parametrize("kind", [b"application/json", b"image/png", b"multipart/form-data; boundary=x"])
async def test_a_body_that_never_ends_is_closed_and_is_no_fault_of_ours(kind: bytes):
    async with serving(http_body_timeout_s=0.2) as client:
        assert client.base_url.port is not None
        key = f"Authorization: {client.headers['x-key']}\r\nContent-Type: ".encode() + kind
        head = (
            HALF_BODY.replace(b"some", b"--x")
            .replace(b"/echo", b"/v1/inputs")
            .replace(b"Host: x", b"Host: x\r\n" + key)
        )
        with capture_logs() as logs:
            _, said = await ended(client.base_url.port, head)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert [log for log in logs if log["log_level"] in {"warning", "error"}] == []
