"""Refusals at the door: keys twice, unknown parameters, and methods that are not taken."""

from __future__ import annotations

import pytest

from services.ingest.domain.keys import Scope
from tests.unit.ingest.builders import ADMIN, BODY, KEY
from tests.unit.ingest.ingest_app import IngestApp, running

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("path", "text", "pointer"),
    [
        ("/v1/tasks", '{"k": 1, "k": 60, "template": "studio_headshot", "mode": "fast", "prompt": "x"}', "k"),
        ("/v1/tasks", '{"k": 1, "inputs": [{"a": [{"b": 1, "b": 1}]}]}', "b"),
        ("/v1/quotes", '{"k": 1, "\\u006b": 1, "template": "studio_headshot", "mode": "fast"}', "k"),
        ("/v1/inputs", '{"url": "https://a.example/", "url": "https://b.example/"}', "url"),
        ("/v1/webhook-endpoints", '{"url": "https://a.example/", "url": "https://a.example/"}', "url"),
    ],
)
async def test_a_key_that_is_given_twice_is_refused_at_any_depth(path: str, text: str, pointer: str):
    world = IngestApp()
    async with running(world) as client:
        answer = await client.post(path, content=text, headers=await world.key() | KEY | JSON)
        await world.settle()
    assert (answer.status_code, answer.json().get("code")) == (422, "duplicate_field")
    assert answer.json().get("pointer") == pointer
    assert world.bus.messages == []
    assert world.delivery.kept == {}


async def test_an_administrators_body_is_read_as_strictly():
    world = IngestApp()
    async with running(world) as client:
        text = '{"account_id": "acct_one", "account_id": "acct_two", "scopes": ["admin"]}'
        answer = await client.post("/v1/admin/keys", content=text, headers=ADMIN | JSON)
    assert answer.json().get("code") == "duplicate_field"
    assert world.keys.records == {}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/tasks?states=delivered"),
        ("GET", "/v1/tasks?Limit=3"),
        ("GET", "/v1/account?account_id=acct_two"),
        ("GET", "/v1/tasks/task_x?expand=1"),
        ("POST", "/v1/tasks?dry_run=true"),
        ("POST", "/v1/tasks/task_x/cancel?force=1"),
        ("GET", "/v1/webhook-deliveries?cursor=x"),
        ("GET", "/v1/admin/keys?account=acct_one"),
    ],
)
async def test_an_unknown_parameter_is_refused_like_an_unknown_field(method: str, path: str):
    world = IngestApp()
    async with running(world) as client:
        answer = await client.request(method, path, headers=await world.key("acct_one", *Scope) | KEY)
    assert (answer.status_code, answer.json().get("code")) == (422, "unknown_field")
    assert answer.json().get("pointer") == path.partition("?")[2].partition("=")[0]


async def test_a_parameter_that_is_given_twice_is_refused():
    world = IngestApp()
    async with running(world) as client:
        answer = await client.get("/v1/tasks?limit=1&limit=200", headers=await world.key())
    assert (answer.status_code, answer.json().get("code")) == (422, "duplicate_field")


async def test_an_idempotency_key_that_is_given_twice_is_refused():
    world = IngestApp()
    async with running(world) as client:
        headers = [*(await world.key()).items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
        answer = await client.post("/v1/tasks", json=BODY, headers=headers)
    assert (answer.status_code, answer.json().get("code")) == (422, "invalid_request")


async def test_nobody_without_a_key_learns_what_else_is_wrong():
    world = IngestApp()
    async with running(world) as client:
        for sent in ({"content": b"{"}, {"json": {"x": 1}}, {"params": {"x": 1}}):
            answer = await client.post("/v1/quotes", **sent)
            assert (answer.status_code, answer.json().get("code")) == (401, "unauthenticated")
        other = await world.key("acct_one", Scope.account_read)
        answer = await client.post("/v1/quotes?x=1", content=b"{", headers=other)
    assert (answer.status_code, answer.json().get("code")) == (403, "scope_missing")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PATCH", "/v1/tasks", "GET, POST"),
        ("DELETE", "/v1/tasks", "GET, POST"),
        ("TRACE", "/v1/tasks", "GET, POST"),
        ("OPTIONS", "/v1/webhook-endpoints", "GET, POST"),
        ("POST", "/v1/tasks/task_x", "GET"),
        ("GET", "/v1/tasks/task_x/cancel", "POST"),
        ("POST", "/v1/admin/accounts/acct_one", "GET, PUT"),
        ("GET", "/v1/admin/keys/k", "DELETE"),
        ("HEAD", "/v1/account", "GET"),
    ],
)
async def test_a_method_that_is_not_taken_is_answered_with_all_that_are(method: str, path: str, allow: str):
    world = IngestApp()
    async with running(world) as client:
        answer = await client.request(method, path, headers=await world.key())
    assert (answer.status_code, answer.headers["allow"]) == (405, allow)
    assert answer.headers["content-type"] == "application/problem+json"
