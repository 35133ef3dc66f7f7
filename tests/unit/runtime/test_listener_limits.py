"""Limits of the listeners: how many connections, how large a header, and what the settings allow."""

from __future__ import annotations

import asyncio
import importlib

import pytest
from pydantic import ValidationError

from tests.support.eventually import eventually
from tests.support.raw_http import HALF_HEADER, asked, ended, settings
from tests.unit.runtime.served import closed, is_ok, serving

pytestmark = pytest.mark.timeout(120)


async def test_connections_over_the_limit_are_refused_while_those_before_go_on():
    async with serving(http_connections_max=10, http_header_timeout_s=60) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.api)
        rest = [await asyncio.open_connection("127.0.0.1", served.api) for _ in range(9)]
        before = closed("connections")
        over = await asyncio.gather(*(ended(served.api) for _ in range(40)))
        assert all(said.startswith(b"HTTP/1.1 503 ") for _, said in over)
        assert all(b"\r\nretry-after: 1\r\n" in said for _, said in over)
        assert closed("connections") == before + 40
        writer.write(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd")
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        assert await asked(served.ops) == b"HTTP/1.1 200 OK\r\n"
        for _, other in [*rest, (reader, writer)]:
            other.close()
            await other.wait_closed()
        echo = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        await eventually(lambda: is_ok(served.api, echo), within_s=30)


async def test_a_header_without_end_is_refused_by_its_size():
    async with serving(http_header_timeout_s=60) as served:
        before = closed("header_bytes")
        _, said = await ended(served.api, HALF_HEADER, forever=b"a" * 8192, every_s=0.0)
        assert said.startswith(b"HTTP/1.1 431 ") or not said
        assert closed("header_bytes") == before + 1


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
