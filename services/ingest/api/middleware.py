"""Around every request: its id, its body limit, its rate headers, and the headers that browsers mind."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.ingest.api.problems import problem_response
from services.ingest.domain.limits import Allowance
from winnow.contracts.errors import ErrorCode, Refused
from winnow.runtime.log import bind

JSON_BYTES_MAX: Final = 64 * 1024
UPLOAD_BYTES_MAX: Final = 20 * 1024 * 1024
MULTIPART_SLACK_BYTES: Final = 16 * 1024
"""Room for the boundaries and part headers around a file of the greatest size."""
_UPLOAD_PATHS: Final = frozenset({"/v1/inputs"})
_REQUEST_ID: Final = re.compile(r"^[A-Za-z0-9_-]{8,64}$")


class CommonHeaders:
    """Middleware that sets the id of a request and the common headers of its answer."""

    def __init__(self, app: ASGIApp, random_bytes: Callable[[int], bytes]) -> None:
        """Wrap an application."""
        self._app = app
        self._random_bytes = random_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        state = scope.setdefault("state", {})
        state["request_id"] = given if _REQUEST_ID.match(given) else f"req_{self._random_bytes(12).hex()}"
        bind(correlation_id=state["request_id"])

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = state["request_id"]
                headers["X-Content-Type-Options"] = "nosniff"
                if "cache-control" not in headers:
                    headers["Cache-Control"] = "no-store"
                _rate_headers(headers, state.get("allowance"))
            await send(message)

        await self._app(scope, receive, send_with_headers)


class BodyLimit:
    """Counts a body while it is read and refuses it beyond the limit of its path."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self._app(scope, receive, send)
            return
        limit = _limit_of(scope)
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            await problem_response(Request(scope), ErrorCode.body_too_large, *_said(limit))(
                scope, receive, send
            )
            return
        read = 0

        async def receive_counted() -> Message:
            nonlocal read
            message = await receive()
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                if read > limit:
                    detail, fields = _said(limit)
                    raise Refused(ErrorCode.body_too_large, detail, **fields)
            return message

        await self._app(scope, receive_counted, send)


def _limit_of(scope: Scope) -> int:
    if scope["path"] not in _UPLOAD_PATHS:
        return JSON_BYTES_MAX
    return UPLOAD_BYTES_MAX + MULTIPART_SLACK_BYTES


def _said(limit: int) -> tuple[str, dict[str, Any]]:
    return f"The body is larger than {limit} bytes.", {"size_bytes_max": limit}


def _rate_headers(headers: MutableHeaders, allowance: Allowance | None) -> None:
    if allowance is None:
        return
    headers["RateLimit-Limit"] = str(allowance.limit_count)
    headers["RateLimit-Remaining"] = str(allowance.remaining_count)
    headers["RateLimit-Reset"] = str(allowance.reset_s)
