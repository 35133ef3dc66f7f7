"""JSON bodies, read strictly: one media type, UTF-8, no key twice, no number that JSON has not."""

from __future__ import annotations

import json
from email.message import Message
from typing import Any, Final

from starlette.requests import Request

from winnow.contracts.errors import ErrorCode, Refused

JSON: Final = "application/json"
_UTF_8: Final = frozenset({"", "utf-8", "utf8"})
_KEY_SHOWN_MAX: Final = 100
_CONTENT_TYPE_CHARACTERS_MAX: Final = 256
"""Longer than any that a client needs: a boundary has at most 70 (RFC 2046). Parsers take quadratic time."""


def media_type_of(request: Request) -> str:
    """Return the media type in lower case without its parameters; empty for none, several or a too long header."""
    values = request.headers.getlist("content-type")
    if len(values) != 1 or len(values[0]) > _CONTENT_TYPE_CHARACTERS_MAX:
        return ""
    return values[0].partition(";")[0].strip().lower()


def require_json(request: Request) -> None:
    """Raise Refused with ``unsupported_media_type`` unless the body says that it is JSON in UTF-8, uncompressed."""
    if media_type_of(request) != JSON or _charset(request) not in _UTF_8:
        raise unsupported_media_type(JSON)
    require_plain(request)


def _charset(request: Request) -> str:
    message = Message()
    message["content-type"] = request.headers["content-type"]
    return str(message.get_param("charset") or "").lower()


def require_plain(request: Request) -> None:
    """Raise Refused with ``unsupported_media_type`` for a body in a content coding such as gzip."""
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Refused(ErrorCode.unsupported_media_type, "Send the body without a content coding.")


def unsupported_media_type(*accepted: str) -> Refused:
    """Return the refusal that names the media types that are read here."""
    return Refused(
        ErrorCode.unsupported_media_type,
        f"Send the body as {' or '.join(accepted)}, and say so in Content-Type.",
        accepted=", ".join(accepted),
    )


def parse(body: bytes) -> Any:
    """Read JSON text; raises Refused: ``invalid_request``, and ``duplicate_field`` for a key twice at any depth.

    Readers differ in which of two equal keys they believe, so an order that says both is no order.
    """
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refused(ErrorCode.invalid_request, "The body is not JSON.") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        shown = twice.encode("utf-8", "replace").decode()[:_KEY_SHOWN_MAX]
        raise Refused(ErrorCode.duplicate_field, "A field is given twice.", pointer=shown)
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(name)
