"""URLs that clients name, through ingest's API: inputs are read by ingest, endpoints are checked by delivery."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc.aio
import httpx
import pytest

from services.delivery import rpc
from services.delivery.app.endpoint_register import EndpointRegister
from services.delivery.clients.webhook import WebhookSender
from services.ingest.app.webhooks import Webhooks
from services.ingest.clients.delivery import DeliveryClient
from services.ingest.clients.fetching import GuardedFetcher
from tests.support.clock import SetClock
from tests.support.servers.tls import Names
from tests.unit.delivery.builders import NOW
from tests.unit.delivery.fakes import MemoryEndpoints
from tests.unit.ingest.ingest_app import IngestApp, running
from winnow.egress.client import EgressRules

REFUSED = [
    "https://a..b/", "https://.example.test/", "https://example.test./", "https://example.test../",
    "https://" + "a" * 64 + ".test/", "https://xn--/", "https://xn--a/", "https://xn--\u00fc.test/",
    "https://%31%32%37.0.0.1/", "https://example%2etest/", "https://0x7f.1/", "https://017700000001/",
    "https://2130706433/", "https://127.1/", "https://[::1/", "https://[v1.x]/", "https://[fe80::1%25eth0]/",
    "https://user@example.test/", "https://example.test:0/", "https://example.test:99999/", "ftp://example.test/",
    "https://127.0.0.1/", "https://[::ffff:0:10.0.0.1]/", "https://[fec0::1]/", "https://[5f00::1]/",
    "https://[3fff::1]/", "https://[2600::5efe:10.0.0.1]/", "https://192.88.99.1/", "https://[::10.0.0.1]/",
    "https://[2002:a00:1::]/", "https://[2001:0:a00:1::]/", "https://inside.example.test/",
]  # fmt: skip


@contextlib.asynccontextmanager
async def line() -> AsyncIterator[tuple[httpx.AsyncClient, dict[str, str]]]:
    """Ingest's routes over its own fetcher, and over delivery behind gRPC."""
    fetcher = GuardedFetcher(EgressRules(), timeout_s=5.0, size_bytes_max=1000, resolve=Names())
    sender = WebhookSender(EgressRules(), timeout_s=5.0, resolve=Names())
    register = EndpointRegister(
        MemoryEndpoints(), sender, SetClock(NOW), signing_key=b"k" * 32, endpoints_max=99
    )
    server = grpc.aio.server()
    nobody: Any = None
    rpc.register(rpc.DeliveryServicer(nobody, register, nobody))(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    world = IngestApp(fetcher=fetcher)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        world.cases = replace(world.cases, webhooks=Webhooks(DeliveryClient(channel, 10.0)))
        async with running(world) as client:
            yield client, await world.key()
    await server.stop(None)
    await fetcher.close()
    await sender.close()


@pytest.mark.parametrize("path", ["/v1/inputs", "/v1/webhook-endpoints"])
async def test_a_malformed_or_guarded_url_is_a_problem_of_the_request(path: str):
    async with line() as (client, key):
        for url in REFUSED:
            answer = await client.post(path, json={"url": url}, headers=key)
            assert answer.status_code == 422, (url, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"] == "url_not_allowed", (url, answer.text)
            assert answer.json()["detail"].endswith(".")


async def test_a_name_that_does_not_resolve_is_said_so():
    async with line() as (client, key):
        read = await client.post("/v1/inputs", json={"url": "https://gone.example.test/"}, headers=key)
        told = await client.post(
            "/v1/webhook-endpoints", json={"url": "https://gone.example.test/"}, headers=key
        )
    assert (read.status_code, read.json()["code"]) == (422, "url_not_reachable")
    assert (told.status_code, told.json()["code"]) == (422, "url_not_allowed")
    assert read.json()["detail"] == told.json()["detail"] == "The URL's host name does not resolve."
