"""The route of inputs: an upload, raw bytes, or a URL."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.responses import Response

from services.ingest.api.auth import Guard, Principal, scoped
from services.ingest.api.json_body import (
    JSON,
    media_type_of,
    parse,
    require_json,
    require_plain,
    unsupported_media_type,
)
from services.ingest.api.middleware import JSON_BYTES_MAX, UPLOAD_BYTES_MAX
from services.ingest.api.other_answers import (
    InputAnswer,
)
from services.ingest.api.problems import validation_problem
from services.ingest.api.requests import InputUrlRequest
from services.ingest.api.serializers import show_input
from services.ingest.api.strict import strict_route
from services.ingest.app.screening import InputScreening
from services.ingest.domain.keys import Scope
from winnow.contracts.errors import ErrorCode, Refused

_PROFILE_LENGTH_MAX: Final = 100
_FORM: Final = "multipart/form-data"
_UPLOADS: Final = (_FORM, "image/jpeg", "image/png", "image/webp", "application/octet-stream")
"""Media types in which an image may come; its own first bytes say which image it is."""
_BINARY: Final[dict[str, Any]] = {"schema": {"type": "string", "format": "binary"}}
_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "additionalProperties": False,
                "properties": {
                    "file": {"type": "string", "format": "binary"},
                    "profile": {
                        "type": "string",
                        "maxLength": _PROFILE_LENGTH_MAX,
                        "description": "Quality profile whose advice is wanted.",
                    },
                },
            }
        },
        "application/json": {"schema": {"$ref": "#/components/schemas/InputUrlRequest"}},
        "image/jpeg": _BINARY,
        "image/png": _BINARY,
        "image/webp": _BINARY,
        "application/octet-stream": _BINARY,
    },
}


def input_routes(guard: Guard, screening: InputScreening) -> APIRouter:
    """Build the route."""
    router = APIRouter(prefix="/v1/inputs", tags=["inputs"], route_class=strict_route(guard))

    @router.post(
        "",
        status_code=201,
        response_class=Response,
        responses={
            201: {"model": InputAnswer, "description": "The input is accepted."},
        },
        openapi_extra=scoped(Scope.tasks_write, requestBody=_BODY),
    )
    async def add_input(request: Request) -> Response:
        """Upload an image of at most 20 MiB; it is screened before it is accepted."""
        principal: Principal = request.state.principal
        kind = media_type_of(request)
        if kind == JSON:
            require_json(request)
            text = await request.body()
            if len(text) > JSON_BYTES_MAX:
                raise _too_large(JSON_BYTES_MAX)
            parse(text)
            try:
                body = InputUrlRequest.model_validate_json(text)
            except ValidationError as error:
                return validation_problem(request, error)
            screened = await screening.from_url(principal.account_id, body.url, body.profile or "")
        else:
            content, profile = await _content(request, kind)
            if len(content) > UPLOAD_BYTES_MAX:
                raise _too_large(UPLOAD_BYTES_MAX)
            screened = await screening.from_bytes(principal.account_id, content, profile)
        return Response(show_input(screened).model_dump_json(), 201, media_type="application/json")

    return router


async def _content(request: Request, kind: str) -> tuple[bytes, str]:
    """Return the image's bytes and the profile, from a form or from the body itself."""
    if kind not in _UPLOADS:
        raise unsupported_media_type(*_UPLOADS, JSON)
    require_plain(request)
    if kind != _FORM:
        return await request.body(), ""
    async with request.form(max_files=1, max_fields=4) as form:
        file, profile = form.get("file"), form.get("profile", "")
        unknown = sorted(set(form) - {"file", "profile"})
        if unknown:
            raise Refused(ErrorCode.unknown_field, "There is no such form field.", pointer=unknown[0][:100])
        if len(form.multi_items()) > len(form):
            raise Refused(ErrorCode.duplicate_field, "A form field is given twice.")
        if not isinstance(file, UploadFile):
            raise Refused(ErrorCode.invalid_request, "The form needs a file.", pointer="file")
        if not isinstance(profile, str) or len(profile) > _PROFILE_LENGTH_MAX:
            raise Refused(ErrorCode.invalid_request, "The profile is a short text.", pointer="profile")
        return await file.read(), profile


def _too_large(limit: int) -> Refused:
    return Refused(ErrorCode.body_too_large, f"The body is larger than {limit} bytes.", size_bytes_max=limit)
