"""Errors at the door: every error is a problem, and a bug tells nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.unit.ingest.ingest_app import ADMIN_TOKEN, IngestApp, running

ADMIN = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/v1/tasks/", 404, "not_found"),
        ("DELETE", "/v1/tasks", 405, "method_not_allowed"),
        ("GET", "/v1/tasks?limit=0", 422, "out_of_bounds"),
        ("GET", "/v1/tasks?limit=x", 422, "invalid_request"),
    ],
)
async def test_every_error_is_a_problem(method: str, path: str, status: int, code: str):
    world = IngestApp()
    async with running(world) as client:
        answer = await client.request(method, path, headers=await world.key())
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["status"]) == (status, code, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["type"] == f"urn:winnow:problem:{code}"


async def test_a_bug_is_a_problem_that_tells_nothing(monkeypatch: pytest.MonkeyPatch):
    async def broken(*_args: object) -> None:
        raise RuntimeError("secret detail")

    world = IngestApp()
    monkeypatch.setattr(world.views, "tasks", broken)
    async with running(world) as client:
        answer = await client.get("/v1/tasks", headers=await world.key())
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/quotes", "/v1/inputs"])
async def test_a_body_beyond_the_limit_is_refused(path: str, declared: bool):
    world = IngestApp()
    limit = 21 * 1024 * 1024 if path == "/v1/inputs" else 65 * 1024
    body = b"x" * limit

    async def chunks():
        for start in range(0, limit, 60_000):
            yield body[start : start + 60_000]

    async with running(world) as client:
        headers = await world.key() | {"Idempotency-Key": "k", "Content-Type": "image/png"}
        if path != "/v1/inputs":
            headers["Content-Type"] = "application/json"
        answer = await client.post(path, content=body if declared else chunks(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
