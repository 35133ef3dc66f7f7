"""Refusals at the door: other media types, keys twice, unknown parameters, text that hides itself."""

from __future__ import annotations

import json
from email.message import Message
from typing import Any

import pytest
from starlette import formparsers, requests

from services.ingest.api import json_body
from services.ingest.domain.keys import Scope
from tests.unit.ingest.builders import ADMIN, BODY, KEY
from tests.unit.ingest.ingest_app import IngestApp, running

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "application/vnd.order+json",
        "application/json; charset=utf-16",
        "multipart/form-data; boundary=x",
        "image/png",
    ],
)
@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/quotes", "/v1/webhook-endpoints"])
async def test_a_body_that_does_not_say_it_is_json_is_not_read(path: str, content_type: str | None):
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key() | KEY | ({"Content-Type": content_type} if content_type else {})
        answer = await client.post(path, content=json.dumps(BODY).encode(), headers=headers)
        await world.settle()
    assert (answer.status_code, answer.json().get("code")) == (415, "unsupported_media_type")
    assert answer.json()["accepted"] == "application/json"
    assert world.bus.messages == []


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/v1/tasks", "application/json"),
        ("/v1/inputs", "application/json"),
        ("/v1/inputs", "multipart/form-data"),
    ],
)
async def test_a_long_content_type_is_refused_before_anything_parses_it(
    path: str, media_type: str, monkeypatch: pytest.MonkeyPatch
):
    """The standard library's parser takes seconds for such a header, in which the process answers nobody."""
    parsed: list[str] = []

    class Counted(Message):
        def get_param(self, *given: Any, **named: Any) -> Any:
            parsed.append(self["content-type"])
            return super().get_param(*given, **named)

    def count_options(header: Any) -> Any:
        parsed.append(header)
        return b"", {}

    monkeypatch.setattr(json_body, "Message", Counted)
    monkeypatch.setattr(formparsers, "parse_options_header", count_options)
    monkeypatch.setattr(requests, "parse_options_header", count_options)
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key() | KEY
        content = json.dumps(BODY).encode()
        given = f'{media_type};"' + ";" * 300
        answer = await client.post(path, content=content, headers=headers | {"Content-Type": given})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert parsed == []


async def test_a_compressed_body_is_refused_and_not_taken_for_broken_json():
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key() | KEY | JSON | {"Content-Encoding": "gzip"}
        answer = await client.post("/v1/tasks", content=b"\x1f\x8b", headers=headers)
    assert (answer.status_code, answer.json().get("code")) == (415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=UTF-8"])
async def test_json_may_be_named_in_any_case_and_with_its_charset(content_type: str):
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key() | KEY | {"Content-Type": content_type}
        answer = await client.post("/v1/tasks", content=json.dumps(BODY).encode(), headers=headers)
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize("content_type", ["text/plain", "text/html", "image/svg+xml", None])
async def test_an_upload_of_another_kind_is_refused_before_its_bytes_are_looked_at(content_type: str | None):
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key() | ({"Content-Type": content_type} if content_type else {})
        answer = await client.post("/v1/inputs", content=b"\x89PNG\r\n\x1a\n", headers=headers)
    assert (answer.status_code, answer.json().get("code")) == (415, "unsupported_media_type")
    assert world.files.objects == {}


@pytest.mark.parametrize(
    "content_type", ["image/png", "image/jpeg", "image/webp", "application/octet-stream"]
)
async def test_an_upload_of_bytes_keeps_its_media_types(content_type: str):
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key() | {"Content-Type": content_type}
        answer = await client.post("/v1/inputs", content=b"\x89PNG\r\n\x1a\n rest", headers=headers)
    assert answer.status_code == 201, answer.text


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
    "expires_at",
    [0, 1, -1, 1e12, "0", "1800000000", "2027-01-01", "2027-01-01T00:00:00", "2027-13-01T00:00:00Z", True],
)
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/admin/keys", {"account_id": "acct_one", "scopes": ["account:read"]}),
        ("/v1/admin/accounts/acct_one/grants", {"amount_credits_micro": 1, "source": "topup"}),
    ],
)
async def test_a_time_is_text_of_rfc_3339_and_nothing_else(path: str, body: dict[str, Any], expires_at: Any):
    world = IngestApp()
    async with running(world) as client:
        answer = await client.post(path, json=body | {"expires_at": expires_at}, headers=ADMIN | KEY)
    assert (answer.status_code, answer.json().get("pointer")) == (422, "expires_at")
    assert world.keys.records == {}
    assert world.bus.messages == []


@pytest.mark.parametrize("expires_at", ["1970-01-01T00:00:00Z", "2026-01-01T00:00:00Z"])
async def test_nothing_is_made_that_has_expired_already(expires_at: str):
    world = IngestApp()
    async with running(world) as client:
        body = {"account_id": "acct_one", "scopes": ["account:read"], "expires_at": expires_at}
        key = await client.post("/v1/admin/keys", json=body, headers=ADMIN)
        grant = await client.post(
            "/v1/admin/accounts/acct_one/grants",
            json={"amount_credits_micro": 1, "source": "topup", "expires_at": expires_at},
            headers=ADMIN | KEY,
        )
        await world.settle()
    for answer in (key, grant):
        assert (answer.status_code, answer.json().get("code")) == (422, "out_of_bounds")
        assert answer.json().get("pointer") == "expires_at"
    assert world.keys.records == {}
    assert world.bus.messages == []


async def test_a_time_of_any_offset_is_read_and_written_as_utc():
    world = IngestApp()
    async with running(world) as client:
        body = {
            "account_id": "acct_one",
            "scopes": ["account:read"],
            "expires_at": "2027-01-01T02:00:00+02:00",
        }
        made = await client.post("/v1/admin/keys", json=body, headers=ADMIN)
    assert made.json()["expires_at"] == "2027-01-01T00:00:00Z"


async def test_a_grant_is_answered_again_after_it_has_expired(monkeypatch: pytest.MonkeyPatch):
    from services.ingest.app import accounts

    monkeypatch.setattr(accounts, "APPLIED_WAIT_S", 0.0)
    world = IngestApp()
    async with running(world) as client:
        body = {"amount_credits_micro": 1, "source": "topup", "expires_at": "2026-01-01T00:01:00Z"}
        path = "/v1/admin/accounts/acct_one/grants"
        first = await client.post(path, json=body, headers=ADMIN | KEY)
        world.clock.pass_s(61)
        again = await client.post(path, json=body, headers=ADMIN | KEY)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()


@pytest.mark.parametrize("life_s", [901, 604_800])
async def test_links_live_no_longer_than_the_document_says(life_s: int):
    world = IngestApp()
    async with running(world) as client:
        answer = await client.get(
            f"/v1/tasks/task_x/outputs?expires_in_s={life_s}", headers=await world.key()
        )
    assert (answer.status_code, answer.json().get("code")) == (422, "out_of_bounds")


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
