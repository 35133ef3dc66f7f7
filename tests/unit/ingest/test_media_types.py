"""Media types at the door: a body of another kind or encoding is refused unread."""

from __future__ import annotations

import json
from email.message import Message
from typing import Any

import pytest
from starlette import formparsers, requests

from services.ingest.api import json_body
from tests.unit.ingest.builders import BODY, KEY
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
