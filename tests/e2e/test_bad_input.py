"""Every bad input gets a clear problem and loses nothing."""

from __future__ import annotations

import asyncio
import io
import struct
import zlib
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.support.servers.line import CREDIT, Client, RunningLine

GOOD: dict[str, Any] = {
    "template": "studio_headshot",
    "mode": "low_cost",
    "k": 1,
    "prompt": "studio headshot",
}


def is_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = answer.json()
    assert problem["code"] == code, problem
    assert problem["status"] == status
    assert len(problem["detail"]) > 10


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"colour": "red"}, 422, "unknown_field"),
        ({"k": 0}, 422, "out_of_bounds"),
        ({"k": 61}, 422, "out_of_bounds"),
        ({"width": 3}, 422, "out_of_bounds"),
        ({"width": 100_000}, 422, "out_of_bounds"),
        ({"template": "no_such"}, 422, "unknown_template"),
        ({"mode": "warp"}, 422, "unknown_mode"),
        ({"profile": "no_such"}, 422, "unknown_profile"),
        ({"prompt": "x" * 2001}, 422, "prompt_too_long"),
        ({"cost_cap_usd_micro": 1}, 422, "cost_cap_too_low"),
        ({"k": "many"}, 422, "invalid_request"),
        ({"inputs": ["in_unknown"]}, 422, "invalid_request"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_wrong_order_is_refused_with_its_reason(
    line: RunningLine, change: dict[str, Any], status: int, code: str
) -> None:
    async with line.client(credit_count=5) as client:
        is_problem(await client.submit(**(GOOD | change)), status, code)
        await loses_nothing(client, 5)


async def loses_nothing(client: Client, credit_count: int) -> None:
    assert (await client.balance())["available_credits_micro"] == credit_count * CREDIT
    assert (await client.get("/v1/tasks"))["tasks"] == []


async def test_a_missing_wrong_or_revoked_key_is_refused(line: RunningLine) -> None:
    url = line.line.api_url
    admin = {"authorization": f"Bearer {line.line.admin_token}"}
    async with httpx.AsyncClient(base_url=url) as http:
        is_problem(await http.get("/v1/tasks"), 401, "unauthenticated")
        wrong = {"authorization": "Bearer wk_live_aaaaaaaa_nonsense"}
        is_problem(await http.get("/v1/tasks", headers=wrong), 401, "unauthenticated")
        made = await http.post(
            "/v1/admin/keys", json={"account_id": "acct_revoked", "scopes": ["tasks:read"]}, headers=admin
        )
        key = {"authorization": f"Bearer {made.json()['key']}"}
        assert (await http.get("/v1/tasks", headers=key)).status_code == 200
        is_problem(
            await http.post("/v1/tasks", json=GOOD, headers=key | {"idempotency-key": "a"}),
            403,
            "scope_missing",
        )
        gone = await http.delete(f"/v1/admin/keys/{made.json()['key_id']}", headers=admin)
        assert gone.status_code == 204
        is_problem(await http.get("/v1/tasks", headers=key), 401, "key_revoked")


async def test_an_order_needs_an_idempotency_key(line: RunningLine) -> None:
    async with line.client() as client:
        is_problem(await client.http.post("/v1/tasks", json=GOOD), 400, "idempotency_key_missing")


async def test_a_body_that_is_too_large_or_no_json_is_refused(line: RunningLine) -> None:
    async with line.client() as client:
        headers = {"idempotency-key": "large", "content-type": "application/json"}
        is_problem(
            await client.http.post("/v1/tasks", content=b"x" * 70_000, headers=headers), 413, "body_too_large"
        )
        is_problem(await client.http.post("/v1/tasks", content=b"{", headers=headers), 422, "invalid_request")


def picture(width: int = 640, height: int = 640) -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


def bomb() -> bytes:
    """Return a PNG whose header promises 100 megapixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 10_000, 10_000, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 30_001)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"this is no image", "image_not_decodable"),
        (picture()[:3000], "image_not_decodable"),
        (bomb(), "image_too_large"),
    ],
    ids=["text", "truncated", "hundred_megapixels"],
)
async def test_an_unusable_upload_is_refused(line: RunningLine, content: bytes, code: str) -> None:
    async with line.client() as client:
        answer = await client.http.post("/v1/inputs", content=content, headers={"content-type": "image/jpeg"})
        is_problem(answer, 422, code)


async def test_a_usable_upload_is_accepted(line: RunningLine) -> None:
    async with line.client() as client:
        answer = await client.http.post(
            "/v1/inputs", content=picture(), headers={"content-type": "image/jpeg"}
        )
        assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/x.jpg",
        "https://localhost/x.jpg",
        "https://10.0.0.1/x.jpg",
        "https://[::1]/x.jpg",
        "https://169.254.169.254/latest/meta-data",
        "https://0x7f000001/x.jpg",
        "ftp://example.com/x.jpg",
    ],
)
async def test_addresses_of_private_networks_are_refused(line: RunningLine, url: str) -> None:
    async with line.client() as client:
        is_problem(await client.http.post("/v1/inputs", json={"url": url}), 422, "url_not_allowed")
        is_problem(await client.http.post("/v1/webhook-endpoints", json={"url": url}), 422, "url_not_allowed")


async def test_an_unknown_task_or_route_is_a_problem_too(line: RunningLine) -> None:
    async with line.client() as client:
        unknown = "task_00000000-0000-5000-8000-000000000000"
        is_problem(await client.http.get(f"/v1/tasks/{unknown}"), 404, "not_found")
        is_problem(await client.http.post(f"/v1/tasks/{unknown}/cancel"), 404, "not_found")
        is_problem(await client.http.get("/v1/nothing"), 404, "not_found")


async def test_too_many_requests_are_told_when_to_come_back(line: RunningLine) -> None:
    async with line.client() as client:
        refused: httpx.Response | None = None
        for _ in range(100):
            answers = await asyncio.gather(*(client.http.get("/v1/templates") for _ in range(20)))
            assert all(
                "ratelimit-limit" in answer.headers or "ratelimit" in answer.headers for answer in answers
            )
            refused = next((answer for answer in answers if answer.status_code == 429), None)
            if refused is not None:
                break
        assert refused is not None
        is_problem(refused, 429, "rate_limited")
        assert int(refused.headers["retry-after"]) >= 1
