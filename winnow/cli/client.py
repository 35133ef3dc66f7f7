"""The public API as the command line uses it: one method per question, every refusal a printed sentence."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx

from winnow.cli.errors import CliError
from winnow.cli.loopback import is_loopback

_TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0)
_STREAM_TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
"""The server sends a sign of life every 15 s; a minute of silence is a dead connection."""
_PAGE: Final = 100


class ApiError(CliError):
    """The API said no; ``code`` is its stable word, empty when it gave none."""

    def __init__(self, sentence: str, status: int, code: str) -> None:
        """Keep the sentence with the status and the code."""
        super().__init__(sentence)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class TaskNews:
    """One event of a task's stream."""

    number: int
    type: str
    fields: dict[str, Any]


class Api:
    """A client of one API with one key."""

    def __init__(self, url: str, key: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """Connect on first use; ``key`` is sent as a bearer token and never printed.

        The environment's proxy is used for an API on another machine alone.
        """
        self.url = url.rstrip("/")
        self._client = httpx.AsyncClient(
            base_url=self.url,
            timeout=_TIMEOUT,
            headers={"authorization": f"Bearer {key}"} if key else {},
            transport=transport,
            trust_env=not is_loopback(self.url),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get(self, path: str, **params: str | int) -> Any:
        """Read one resource; raises ApiError."""
        return _json(await self._send("GET", path, params=params))

    async def get_bytes(self, path: str, **params: str | int) -> bytes:
        """Read a file; raises ApiError."""
        return (await self._send("GET", path, params=params)).content

    async def post(self, path: str, body: dict[str, Any], idempotency_key: str = "") -> Any:
        """Send a request; raises ApiError."""
        headers = {"idempotency-key": idempotency_key} if idempotency_key else {}
        return _json(await self._send("POST", path, json=body, headers=headers))

    async def delete(self, path: str) -> None:
        """Remove a resource; raises ApiError."""
        await self._send("DELETE", path)

    async def pages(self, path: str, field: str, **params: str | int) -> AsyncIterator[dict[str, Any]]:
        """Yield every element of a list over all its pages."""
        cursor = ""
        while True:
            page = await self.get(path, limit=_PAGE, **params, **({"cursor": cursor} if cursor else {}))
            for row in page[field]:
                yield row
            cursor = page.get("next_cursor") or ""
            if not cursor:
                return

    async def news(self, task_id: str, after: int = 0) -> AsyncIterator[TaskNews]:
        """Yield a task's events as they come, until no more can; a lost connection is taken up where it broke."""
        while True:
            try:
                async with self._stream(f"/v1/tasks/{task_id}/events", after) as lines:
                    async for event in _parsed(lines):
                        after = event.number
                        yield event
            except httpx.TransportError:
                await self.get(f"/v1/tasks/{task_id}")
                continue
            return

    @asynccontextmanager
    async def _stream(self, path: str, after: int) -> AsyncIterator[AsyncIterator[str]]:
        headers = {"accept": "text/event-stream"} | ({"last-event-id": str(after)} if after else {})
        async with self._client.stream("GET", path, headers=headers, timeout=_STREAM_TIMEOUT) as answer:
            if answer.is_error:
                await answer.aread()
                raise self._refusal(answer)
            yield answer.aiter_lines()

    async def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            answer = await self._client.request(method, path, **options)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        if answer.is_error:
            raise self._refusal(answer)
        return answer

    def _unreachable(self, error: httpx.TransportError) -> ApiError:
        kind = "does not answer in time" if isinstance(error, httpx.TimeoutException) else "cannot be reached"
        return ApiError(f"The API at {self.url} {kind}. Is the line up (`winnow up`)?", 0, "")

    def _refusal(self, answer: httpx.Response) -> ApiError:
        try:
            problem = answer.json()
            code, detail = str(problem["code"]), str(problem["detail"])
        except (ValueError, KeyError, TypeError):
            return ApiError(f"The API at {self.url} answered {answer.status_code}.", answer.status_code, "")
        return ApiError(f"{detail} ({code})", answer.status_code, code)


async def _parsed(lines: AsyncIterator[str]) -> AsyncIterator[TaskNews]:
    """Read a stream of server-sent events: fields until an empty line, comments skipped."""
    number, kind, body = 0, "", ""
    async for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id" and value.isdecimal():
            number = int(value)
        elif name == "event":
            kind = value
        elif name == "data":
            body += value
        elif not line and body:
            yield TaskNews(number, kind, json.loads(body))
            kind, body = "", ""


def _json(answer: httpx.Response) -> Any:
    return answer.json() if answer.content else None
