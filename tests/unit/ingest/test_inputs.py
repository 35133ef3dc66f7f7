"""Inputs: uploads, raw bytes, URLs, and the guard against requests into private networks."""

from __future__ import annotations

import socket
from dataclasses import asdict

import pytest

from services.ingest.clients.fetching import GuardedFetcher
from tests.unit.ingest.fakes import HINT
from tests.unit.ingest.ingest_app import IngestApp, running
from winnow.contracts.errors import ErrorCode, Refused
from winnow.egress.client import EgressRules

PNG = b"\x89PNG\r\n\x1a\n" + b"rest of a picture"
KEY = {"Idempotency-Key": "order-1"}


async def test_an_upload_is_screened_kept_and_can_be_ordered_with():
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key()
        made = await client.post("/v1/inputs", files={"file": ("me.png", PNG)}, headers=headers)
        raw = await client.post("/v1/inputs", content=PNG, headers=headers | {"Content-Type": "image/png"})
        world.fetcher.body = PNG
        url = await client.post("/v1/inputs", json={"url": "https://example.com/me.png"}, headers=headers)
        order = {
            "template": "studio_headshot",
            "mode": "fast",
            "k": 1,
            "prompt": "me",
            "inputs": [made.json()["input_id"]],
        }
        placed = await client.post("/v1/tasks", json=order, headers=headers | KEY)
        stolen = await client.post("/v1/tasks", json=order, headers=await world.key("acct_two") | KEY)
        await world.settle()
    assert made.status_code == 201
    assert made.json()["advice"] == ["no_face"]
    assert made.json()["hints"] == [asdict(HINT)]
    assert made.json()["input_id"] == raw.json()["input_id"] == url.json()["input_id"]
    assert placed.json()["inputs_count"] == 1
    (accepted,) = world.published("task.accepted")
    assert world.files.objects[accepted["inputs"][0]["key"]] == PNG
    assert (stolen.status_code, stolen.json()["pointer"]) == (422, "inputs/0")


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"<html>", b"RIFF0000WAVE"])
async def test_what_is_no_image_is_refused_and_not_kept(content: bytes):
    world = IngestApp()
    async with running(world) as client:
        answer = await client.post(
            "/v1/inputs", content=content, headers=await world.key() | {"Content-Type": "image/png"}
        )
    assert (answer.status_code, answer.json()["code"]) == (422, "image_not_decodable")
    assert world.files.objects == {}


@pytest.mark.parametrize("code", ["image_not_decodable", "image_too_large", "image_too_small"])
async def test_what_the_scorer_refuses_is_not_kept(code: str):
    world = IngestApp()
    world.screener.refusal = code
    async with running(world) as client:
        answer = await client.post("/v1/inputs", files={"file": PNG}, headers=await world.key())
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert world.files.objects == {}
    assert world.inputs.inputs == {}


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"files": {"other": PNG}}, "unknown_field"),
        ({"files": {"file": PNG}, "data": {"x": "1"}}, "unknown_field"),
        ({"data": {"profile": ["headshot", "product"]}, "files": {"file": PNG}}, "duplicate_field"),
        ({"json": {"url": ""}}, "out_of_bounds"),
        ({"json": {"link": "x", "url": "https://x"}}, "unknown_field"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, "invalid_request"),
    ],
)
async def test_a_form_that_cannot_be_read_is_refused(sent: dict, code: str):
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key() | sent.pop("headers", {})
        answer = await client.post("/v1/inputs", headers=headers, **sent)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


@pytest.fixture
def no_connections(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Count the addresses that anything in the process tries to connect to."""
    tried: list[object] = []

    def connect(_self: socket.socket, address: object) -> int:
        tried.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", connect)
    return tried


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/x", "https://localhost/x", "https://0x7f000001/x", "https://2130706433/x",
        "https://127.1/x", "https://[::1]/x", "https://[::ffff:127.0.0.1]/x", "https://10.1.2.3/x",
        "https://192.168.0.1/x", "https://169.254.169.254/latest/meta-data", "https://100.64.0.1/x",
        "https://[64:ff9b::7f00:1]/x", "https://0.0.0.0/x", "https://127.0.0.1:6379/x",
        "http://example.com/x", "ftp://example.com/x", "file:///etc/passwd", "https://user:pw@example.com/x",
        "https:///x", "no url", "https://example.com:99999/x", "gopher://127.0.0.1/", "https://[::1",
    ],
)  # fmt: skip
async def test_a_url_into_a_private_network_is_refused_without_a_connection(
    url: str, no_connections: list[object]
):
    fetcher = GuardedFetcher(EgressRules(), timeout_s=5, size_bytes_max=1000)
    with pytest.raises(Refused) as refused:
        await fetcher.fetch(url)
    await fetcher.close()
    assert refused.value.code in {ErrorCode.url_not_allowed, ErrorCode.url_not_reachable}
    assert refused.value.code is ErrorCode.url_not_allowed
    assert no_connections == []
