"""The client says every refusal in a sentence, follows pages, and takes a broken stream up where it broke."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from winnow.cli.client import Api, ApiError, TaskNews

Handler = Callable[[httpx.Request], httpx.Response]


def api(handler: Handler, key: str = "wk_live_secret") -> Api:
    return Api("http://api.test", key, httpx.MockTransport(handler))


async def refusal(handler: Handler) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await api(handler).get("/v1/tasks/x")
    return caught.value


async def test_a_problem_is_said_with_its_code() -> None:
    body = {"code": "not_found", "detail": "There is no such task."}
    trouble = await refusal(lambda _: httpx.Response(404, json=body))
    assert (str(trouble), trouble.status, trouble.code) == (
        "There is no such task. (not_found)",
        404,
        "not_found",
    )


async def test_an_answer_that_is_no_problem_names_the_address_and_the_status() -> None:
    trouble = await refusal(lambda _: httpx.Response(502, text="<html>"))
    assert "http://api.test" in str(trouble)
    assert "502" in str(trouble)


async def test_an_api_that_is_not_there_is_said_without_the_key() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    trouble = await refusal(refuse)
    assert "cannot be reached" in str(trouble)
    assert "secret" not in str(trouble)


async def test_the_key_travels_as_a_bearer_token_and_the_idempotency_key_as_a_header() -> None:
    seen: list[httpx.Request] = []

    def keep(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(202, json={"id": "t"})

    assert await api(keep).post("/v1/tasks", {"k": 1}, "once") == {"id": "t"}
    assert seen[0].headers["authorization"] == "Bearer wk_live_secret"
    assert seen[0].headers["idempotency-key"] == "once"
    assert json.loads(seen[0].content) == {"k": 1}


async def test_pages_are_followed_to_the_last() -> None:
    pages = {"": ([1, 2], "a"), "a": ([3], "b"), "b": ([4], None)}

    def page(request: httpx.Request) -> httpx.Response:
        found, after = pages[request.url.params.get("cursor", "")]
        return httpx.Response(200, json={"tasks": [{"n": number} for number in found], "next_cursor": after})

    assert [task["n"] async for task in api(page).pages("/v1/tasks", "tasks")] == [1, 2, 3, 4]


class Lines(httpx.AsyncByteStream):
    """A body that may break off."""

    def __init__(self, text: str, *, breaks: bool) -> None:
        self._text = text
        self._breaks = breaks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._text.encode()
        if self._breaks:
            raise httpx.ReadError("connection lost")


async def test_a_broken_stream_goes_on_after_the_last_number_seen() -> None:
    asked: list[str | None] = []

    def stream(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/events"):
            return httpx.Response(200, json={})
        asked.append(request.headers.get("last-event-id"))
        if len(asked) == 1:
            text = 'retry: 2000\n\n: still here\n\nid: 7\nevent: task.funded\ndata: {"a": 1}\n\nid: 8\nevent: round'
            return httpx.Response(200, stream=Lines(text, breaks=True))
        return httpx.Response(200, stream=Lines("id: 8\nevent: task.settled\ndata: {}\n\n", breaks=False))

    news = [event async for event in api(stream).news("t")]
    assert news == [TaskNews(7, "task.funded", {"a": 1}), TaskNews(8, "task.settled", {})]
    assert asked == [None, "7"]


async def test_a_refused_stream_says_why() -> None:
    body = {"code": "not_found", "detail": "There is no such task."}
    with pytest.raises(ApiError, match="no such task"):
        _ = [event async for event in api(lambda _: httpx.Response(404, json=body)).news("t")]
