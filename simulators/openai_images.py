"""Simulated OpenAI images: ``POST /v1/images/generations``, answered in one call with base64 pictures.

The shapes follow openai 3.52.0. There is no seed, no task id and no cancel: a reply that gets lost is lost.
"""

from __future__ import annotations

import base64
import re
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from simulators import reading
from simulators.generation import Generation, Stage, Wanted
from simulators.reading import InputProblem
from simulators.renderer import OutputFormat
from simulators.wire import json_object, reply, retry_after, withhold_reply
from simulators.world import Outcome, World
from winnow.runtime.clock import random_bytes

#: Price of one output token; the tokens of a picture are its price over this.
USD_MICRO_PER_OUTPUT_TOKEN: Final = 40
_PROMPT_CHARS_MAX: Final = 32_000
_IMAGES_MAX: Final = 10
_QUALITIES: Final = frozenset({"low", "medium", "high", "xhigh", "max", "auto"})
_BACKGROUNDS: Final = frozenset({"transparent", "opaque", "auto"})
_FORMATS: Final[dict[str, OutputFormat]] = {"png": "png", "webp": "webp", "jpeg": "jpeg"}
_SIZE: Final = re.compile(r"(\d{2,5})x(\d{2,5})")


def routes(world: World) -> APIRouter:
    """Build the vendor's routes."""
    openai = _OpenAI(world)
    router = APIRouter(prefix="/v1")
    router.add_api_route("/images/generations", openai.generate, methods=["POST"])
    return router


class _OpenAI:
    def __init__(self, world: World) -> None:
        self._world = world

    async def generate(self, request: Request) -> Response:
        request_id = f"req_{random_bytes(16).hex()}"
        headers = {"x-request-id": request_id, "openai-version": "2020-10-01"}
        if (unauthorized := _unauthorized(request, headers)) is not None:
            return unauthorized
        outcome = self._world.knock()
        if (refusal := self._refusal(outcome, request, headers)) is not None:
            return refusal
        body = await json_object(request)
        try:
            wanted = _wanted(body)
        except InputProblem as problem:
            return _error(
                400,
                problem.detail,
                "invalid_request_error",
                headers,
                param=problem.field or None,
                code=problem.kind,
            )
        generation = self._world.accept(wanted, request_id)
        if outcome is Outcome.reply_lost:
            self._world.replies_lost.add(request_id)
            withhold_reply(request, outcome)
        await generation.ended.wait()
        if generation.stage is Stage.failed:
            return _server_error(500, headers)
        return reply(200, _result(generation, body or {}), headers)

    def _refusal(self, outcome: Outcome, request: Request, headers: dict[str, str]) -> Response | None:
        match outcome:
            case Outcome.outage:
                return _server_error(503, headers)
            case Outcome.error:
                return _server_error(self._world.controls.error_status, headers)
            case Outcome.too_many:
                message = "Rate limit reached for images per minute. Please try again later."
                return _error(
                    429,
                    message,
                    "requests",
                    headers | retry_after(self._world),
                    code="rate_limit_exceeded",
                )
            case Outcome.filtered:
                message = "Your request was rejected by the safety system."
                return _error(400, message, "image_generation_user_error", headers, code="moderation_blocked")
            case Outcome.hang:
                withhold_reply(request, outcome)
                return Response()
            case Outcome.accepted | Outcome.reply_lost:
                return None


def _result(generation: Generation, body: dict[str, Any]) -> dict[str, Any]:
    wanted = generation.wanted
    tokens_each = -(-generation.price_usd_micro // USD_MICRO_PER_OUTPUT_TOKEN)
    output_tokens = tokens_each * wanted.image_count
    text_tokens = max(1, len(wanted.prompt) // 4)
    quality = body.get("quality", "auto")
    return {
        "created": int(generation.accepted_at.timestamp()),
        "background": "transparent" if wanted.transparent else "opaque",
        "data": [
            {"b64_json": base64.b64encode(picture.made.content).decode()} for picture in generation.pictures
        ],
        "output_format": wanted.output_format,
        "quality": "medium" if quality == "auto" else quality,
        "size": f"{wanted.size[0]}x{wanted.size[1]}",
        "usage": {
            "input_tokens": text_tokens,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": text_tokens},
            "output_tokens": output_tokens,
            "total_tokens": text_tokens + output_tokens,
        },
    }


def _wanted(body: dict[str, Any] | None) -> Wanted:
    """Read the request.

    Raises:
        InputProblem: a parameter cannot be used.
    """
    if body is None:
        raise InputProblem("", "invalid_json", "We could not parse the JSON body of your request.")
    if "seed" in body:
        raise InputProblem("seed", "unknown_parameter", "Unknown parameter: 'seed'.")
    reading.choice(body, "quality", _QUALITIES, default="auto")
    transparent = reading.choice(body, "background", _BACKGROUNDS, default="auto") == "transparent"
    output_format = _FORMATS[reading.choice(body, "output_format", _FORMATS, default="png")]
    if transparent and output_format == "jpeg":
        raise InputProblem("background", "invalid_value", "A transparent background needs png or webp.")
    return Wanted(
        prompt=reading.text(body, "prompt", chars_max=_PROMPT_CHARS_MAX),
        image_count=reading.integer(body, "n", default=1, lowest=1, highest=_IMAGES_MAX),
        size=_size(body.get("size") or "auto"),
        output_format=output_format,
        transparent=transparent,
    )


def _size(wanted: object) -> tuple[int, int]:
    if wanted == "auto":
        return (1024, 1024)
    matched = _SIZE.fullmatch(wanted) if isinstance(wanted, str) else None
    if matched is None or int(matched[1]) % 16 or int(matched[2]) % 16:
        raise InputProblem("size", "invalid_value", "Invalid value for 'size'.")
    return reading.pixels(int(matched[1]), int(matched[2]), field="size")


def _unauthorized(request: Request, headers: dict[str, str]) -> Response | None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme == "Bearer" and key.strip():
        return None
    message = "You didn't provide an API key. Provide it in an Authorization header using Bearer auth."
    return _error(401, message, "invalid_request_error", headers, code="invalid_api_key")


def _server_error(status: int, headers: dict[str, str]) -> Response:
    message = "The server had an error while processing your request. Sorry about that!"
    return _error(status, message, "server_error", headers)


def _error(
    status: int,
    message: str,
    kind: str,
    headers: dict[str, str],
    *,
    param: str | None = None,
    code: str | None = None,
) -> Response:
    return reply(status, {"error": {"message": message, "type": kind, "param": param, "code": code}}, headers)
