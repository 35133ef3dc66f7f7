"""Errors as RFC 9457 problem documents: one table from code to status, one shape for every error."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from winnow.contracts.errors import ErrorCode, WinnowError
from winnow.runtime.log import get_logger

_log = get_logger(__name__)
CONTENT_TYPE: Final = "application/problem+json"

_UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY

STATUS: Final[dict[ErrorCode, HTTPStatus]] = {
    ErrorCode.unauthenticated: HTTPStatus.UNAUTHORIZED,
    ErrorCode.key_revoked: HTTPStatus.UNAUTHORIZED,
    ErrorCode.scope_missing: HTTPStatus.FORBIDDEN,
    ErrorCode.invalid_request: _UNPROCESSABLE,
    ErrorCode.unknown_field: _UNPROCESSABLE,
    ErrorCode.duplicate_field: _UNPROCESSABLE,
    ErrorCode.characters_not_allowed: _UNPROCESSABLE,
    ErrorCode.unsupported_media_type: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    ErrorCode.priority_not_allowed: HTTPStatus.FORBIDDEN,
    ErrorCode.out_of_bounds: _UNPROCESSABLE,
    ErrorCode.unknown_template: _UNPROCESSABLE,
    ErrorCode.unknown_mode: _UNPROCESSABLE,
    ErrorCode.unknown_profile: _UNPROCESSABLE,
    ErrorCode.prompt_too_long: _UNPROCESSABLE,
    ErrorCode.prompt_refused: _UNPROCESSABLE,
    ErrorCode.cost_cap_too_low: _UNPROCESSABLE,
    ErrorCode.insufficient_credits: HTTPStatus.PAYMENT_REQUIRED,
    ErrorCode.idempotency_key_missing: HTTPStatus.BAD_REQUEST,
    ErrorCode.idempotency_key_reused: HTTPStatus.CONFLICT,
    ErrorCode.image_not_decodable: _UNPROCESSABLE,
    ErrorCode.image_too_large: _UNPROCESSABLE,
    ErrorCode.image_too_small: _UNPROCESSABLE,
    ErrorCode.body_too_large: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ErrorCode.url_not_allowed: _UNPROCESSABLE,
    ErrorCode.url_not_reachable: _UNPROCESSABLE,
    ErrorCode.url_tls_failed: _UNPROCESSABLE,
    ErrorCode.rate_limited: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.not_found: HTTPStatus.NOT_FOUND,
    ErrorCode.method_not_allowed: HTTPStatus.METHOD_NOT_ALLOWED,
    ErrorCode.already_ended: HTTPStatus.CONFLICT,
    ErrorCode.cancel_already_requested: HTTPStatus.CONFLICT,
    ErrorCode.no_offering: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorCode.not_enough_passed: HTTPStatus.CONFLICT,
    ErrorCode.deadline_exceeded: HTTPStatus.CONFLICT,
    ErrorCode.cost_cap_reached: HTTPStatus.CONFLICT,
    ErrorCode.rounds_exhausted: HTTPStatus.CONFLICT,
    ErrorCode.reservation_unknown: HTTPStatus.CONFLICT,
    ErrorCode.reservation_already_resolved: HTTPStatus.CONFLICT,
    ErrorCode.amount_not_allowed: _UNPROCESSABLE,
    ErrorCode.delivery_failed: HTTPStatus.CONFLICT,
    ErrorCode.unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorCode.internal: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""Every code and its status; a test holds the table complete."""


class Problem(BaseModel):
    """An error (RFC 9457). ``code`` is stable; further members depend on it."""

    type: str = Field(
        description="A URI that names the kind of problem.", examples=["urn:winnow:problem:not_found"]
    )
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong, for people.")
    code: ErrorCode = Field(description="What is wrong, for programs.")
    request_id: str = Field(description="The id to give when asking for help.")
    pointer: str | None = Field(default=None, description="Where in the request, as a path with slashes.")


def problem_response(
    request: Request, code: ErrorCode, detail: str, fields: dict[str, Any] | None = None
) -> Response:
    """Write a problem; ``retry_after_s`` among the fields becomes the ``Retry-After`` header too."""
    status = STATUS[code]
    body: dict[str, Any] = {
        "type": f"urn:winnow:problem:{code.value}",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "code": code.value,
        "request_id": getattr(request.state, "request_id", ""),
        **{name: value for name, value in (fields or {}).items() if value is not None},
    }
    headers = {}
    if "retry_after_s" in body:
        headers["Retry-After"] = str(body["retry_after_s"])
    elif status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "1"
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body, status.value, headers, CONTENT_TYPE)


def validation_problem(request: Request, error: ValidationError | RequestValidationError) -> Response:
    """Write the first fault of a body or a parameter; never what was sent."""
    first = error.errors()[0]
    place = "/".join(str(part) for part in first["loc"] if part not in {"body", "query", "path", "header"})
    kind = first["type"]
    if kind == "extra_forbidden":
        return problem_response(
            request, ErrorCode.unknown_field, f"There is no field {place}.", {"pointer": place}
        )
    code = ErrorCode.out_of_bounds if kind in _BOUNDS else ErrorCode.invalid_request
    if kind == ErrorCode.characters_not_allowed.value:
        code = ErrorCode.characters_not_allowed
    if kind == "json_invalid":
        return problem_response(request, code, "The body is not JSON.")
    return problem_response(
        request, code, f"{place or 'The body'}: {first['msg']}.", {"pointer": place or None}
    )


_BOUNDS: Final = frozenset(
    {
        "greater_than",
        "greater_than_equal",
        "less_than",
        "less_than_equal",
        "string_too_long",
        "string_too_short",
        "too_long",
        "too_short",
    }
)


def install(app: FastAPI) -> None:
    """Make every error of the application a problem."""
    app.add_exception_handler(WinnowError, _on_refusal)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(ValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(ClientDisconnect, _on_cut)
    app.add_exception_handler(Exception, _on_bug)


async def _on_refusal(request: Request, error: Exception) -> Response:
    if not isinstance(error, WinnowError):
        raise error
    if error.retryable:
        _log.warning("ingest.request.unavailable", path=_route(request), detail=error.detail)
    return problem_response(request, error.code, error.detail, error.fields)


async def _on_invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, ValidationError | RequestValidationError):
        raise error
    return validation_problem(request, error)


async def _on_cut(request: Request, _: Exception) -> Response:
    """Answer a request whose body ended too early or came too slowly; its connection is closed already."""
    return problem_response(request, ErrorCode.invalid_request, "The body was not sent to its end.")


_HTTP_CODES: Final[dict[int, ErrorCode]] = {
    401: ErrorCode.unauthenticated,
    403: ErrorCode.scope_missing,
    404: ErrorCode.not_found,
    405: ErrorCode.method_not_allowed,
    413: ErrorCode.body_too_large,
    415: ErrorCode.unsupported_media_type,
    429: ErrorCode.rate_limited,
    503: ErrorCode.unavailable,
}


async def _on_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if isinstance(error.__cause__, WinnowError):
        # FastAPI wraps whatever reading a body raises, the body limit's refusal too.
        return await _on_refusal(request, error.__cause__)
    code = _HTTP_CODES.get(error.status_code, ErrorCode.invalid_request)
    response = problem_response(request, code, _HTTP_DETAILS.get(code, "The request cannot be read."))
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    if code is ErrorCode.method_not_allowed:
        response.headers["Allow"] = ", ".join(_methods_at(request))
    return response


def _methods_at(request: Request) -> list[str]:
    """Return every method that an address takes; a route that was tried alone knows only its own."""
    methods: set[str] = set()
    for route in request.app.state.addresses:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return sorted(methods)


_HTTP_DETAILS: Final = {
    ErrorCode.not_found: "There is nothing at this address.",
    ErrorCode.method_not_allowed: "This address does not take this method.",
    ErrorCode.body_too_large: "The body is larger than is read.",
}


async def _on_bug(request: Request, error: Exception) -> Response:
    _log.error("ingest.request.failed", path=_route(request), error=type(error).__name__, exc_info=error)
    return problem_response(request, ErrorCode.internal, "Something went wrong here; it was noted.")


def _route(request: Request) -> str:
    """Return the route's pattern, which holds no id."""
    return str(getattr(request.scope.get("route"), "path", "unknown"))
