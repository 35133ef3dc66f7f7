"""Simulated fal queue: submit, status, result, cancel, and the synchronous run under ``/sync``.

The shapes follow fal-client 1.0.3 and fal's published queue, errors and reliability pages.
"""

from __future__ import annotations

import uuid
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from simulators import reading
from simulators.generation import Generation, Stage, Wanted
from simulators.reading import InputProblem
from simulators.renderer import OutputFormat
from simulators.wire import json_object, link, reply, retry_after, withhold_reply
from simulators.world import Outcome, World
from winnow.runtime.clock import random_bytes

_NAMED_SIZES: Final = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
_IMAGES_MAX: Final = 8
_PROMPT_CHARS_MAX: Final = 32_000
_FORMATS: Final[dict[str, OutputFormat]] = {"jpeg": "jpeg", "png": "png", "webp": "webp"}
_ERROR_TYPES: Final = {
    500: "internal_server_error",
    502: "runner_disconnected",
    503: "runner_scheduling_failure",
    504: "startup_timeout",
}


def routes(world: World) -> APIRouter:
    """Build the vendor's routes."""
    fal = _Fal(world)
    router = APIRouter()
    router.add_api_route("/{owner}/{app}/requests/{request_id}/status", fal.status, methods=["GET"])
    router.add_api_route("/{owner}/{app}/requests/{request_id}/cancel", fal.cancel, methods=["PUT"])
    router.add_api_route("/{owner}/{app}/requests/{request_id}", fal.result, methods=["GET"])
    router.add_api_route("/sync/{owner}/{app:path}", fal.run, methods=["POST"])
    router.add_api_route("/{owner}/{app:path}", fal.submit, methods=["POST"])
    return router


class _Fal:
    def __init__(self, world: World) -> None:
        self._world = world
        self._paths: dict[str, str] = {}

    async def submit(self, request: Request, owner: str, app: str) -> Response:
        refused, generation = await self._accepted(request)
        if generation is None:
            return refused
        alias = app.split("/", 1)[0]
        base = link(request, f"/{owner}/{alias}/requests/{generation.request_id}")
        return reply(
            200,
            {
                "status": "IN_QUEUE",
                "request_id": generation.request_id,
                "gateway_request_id": generation.request_id,
                "response_url": base,
                "status_url": f"{base}/status",
                "cancel_url": f"{base}/cancel",
                "queue_position": self._world.queue_position(generation),
            },
            _headers(generation.request_id),
        )

    async def run(self, request: Request, owner: str, app: str) -> Response:
        refused, generation = await self._accepted(request)
        if generation is None:
            return refused
        await generation.ended.wait()
        return self._outcome(request, generation)

    async def status(self, request: Request, owner: str, app: str, request_id: str) -> Response:
        refused, generation = self._found(request, request_id)
        if generation is None:
            return refused
        logs: list[object] | None = [] if request.query_params.get("logs") in {"1", "true", "True"} else None
        headers = _headers(request_id)
        body: dict[str, Any] = {
            "request_id": request_id,
            "response_url": str(request.url).split("/status")[0],
        }
        match generation.stage:
            case Stage.queued:
                body |= {
                    "status": "IN_QUEUE",
                    "queue_position": self._world.queue_position(generation),
                }
                return reply(202, body, headers)
            case Stage.running:
                return reply(
                    202,
                    body | {"status": self._world.controls.status_word or "IN_PROGRESS", "logs": logs},
                    headers,
                )
            case _:
                body |= {
                    "status": "COMPLETED",
                    "logs": logs,
                    "metrics": {"inference_time": generation.running_s},
                }
                if generation.stage is Stage.failed:
                    body |= {
                        "error": "Internal Server Error",
                        "error_type": "internal_server_error",
                    }
                elif generation.stage is Stage.canceled:
                    body |= {"error": "Request was cancelled", "error_type": "request_cancelled"}
                return reply(200, body, headers)

    async def result(self, request: Request, owner: str, app: str, request_id: str) -> Response:
        refused, generation = self._found(request, request_id)
        if generation is None:
            return refused
        if not generation.stage.is_final:
            return reply(400, {"detail": "Request is still in progress"}, _headers(request_id))
        return self._outcome(request, generation)

    async def cancel(self, request: Request, owner: str, app: str, request_id: str) -> Response:
        if (unauthorized := _unauthorized(request)) is not None:
            return unauthorized
        generation = self._world.generations.get(request_id)
        headers = _headers(request_id)
        if generation is None:
            return reply(404, {"status": "NOT_FOUND"}, headers)
        if generation.stage.is_final:
            return reply(400, {"status": "ALREADY_COMPLETED"}, headers)
        self._world.cancel(generation)
        return reply(202, {"status": "CANCELLATION_REQUESTED"}, headers)

    async def _accepted(self, request: Request) -> tuple[Response, Generation | None]:
        """Judge a generation request as the platform does, then as the model does."""
        if (unauthorized := _unauthorized(request)) is not None:
            return unauthorized, None
        request_id = str(uuid.UUID(bytes=random_bytes(16), version=4))
        outcome = self._world.knock()
        if (refusal := self._refusal(outcome, request, request_id)) is not None:
            return refusal, None
        try:
            wanted = _wanted(await json_object(request))
        except InputProblem as problem:
            detail = [_problem(problem.field, problem.detail, problem.kind)]
            headers = _headers(request_id) | {"X-Fal-Retryable": "false"}
            return reply(422, {"detail": detail}, headers), None
        generation = self._world.accept(wanted, request_id)
        if outcome is Outcome.reply_lost:
            self._world.replies_lost.add(request_id)
            withhold_reply(request, outcome)
        return Response(), generation

    def _refusal(self, outcome: Outcome, request: Request, request_id: str) -> Response | None:
        headers = _headers(request_id)
        match outcome:
            case Outcome.outage:
                return _infrastructure_error(503, headers)
            case Outcome.error:
                return _infrastructure_error(self._world.controls.error_status, headers)
            case Outcome.too_many:
                body = {"detail": "Too many requests", "error_type": "rate_limited"}
                return reply(429, body, headers | retry_after(self._world))
            case Outcome.filtered:
                problem = _problem(
                    "prompt",
                    "The content was flagged by the content checker.",
                    "content_policy_violation",
                )
                return reply(422, {"detail": [problem]}, headers | {"X-Fal-Retryable": "false"})
            case Outcome.hang:
                withhold_reply(request, outcome)
                return Response()
            case Outcome.accepted | Outcome.reply_lost:
                return None

    def _found(self, request: Request, request_id: str) -> tuple[Response, Generation | None]:
        if (unauthorized := _unauthorized(request)) is not None:
            return unauthorized, None
        if self._world.is_out(submitting=False):
            return _infrastructure_error(503, _headers(request_id)), None
        generation = self._world.generations.get(request_id)
        if generation is None:
            return reply(404, {"detail": "Request not found"}, _headers(request_id)), None
        return Response(), generation

    def _outcome(self, request: Request, generation: Generation) -> Response:
        headers = _headers(generation.request_id)
        if generation.stage is Stage.failed:
            return _infrastructure_error(500, headers)
        if generation.stage is Stage.canceled:
            return reply(400, {"detail": "Request was cancelled", "error_type": "request_cancelled"}, headers)
        images = [
            {
                "url": link(request, f"/files/{picture.file_name}"),
                "content_type": picture.made.content_type,
                "width": picture.made.width,
                "height": picture.made.height,
            }
            for picture in generation.pictures
        ]
        return reply(
            200,
            {
                "images": images,
                "timings": {"inference": generation.running_s},
                "seed": generation.seed,
                "has_nsfw_concepts": [False] * len(images),
                "prompt": generation.wanted.prompt,
            },
            headers,
        )


def _wanted(body: dict[str, Any] | None) -> Wanted:
    """Read the model's input.

    Raises:
        InputProblem: a field cannot be used.
    """
    if body is None:
        raise InputProblem("", "model_attributes_type", "Input should be a valid dictionary")
    return Wanted(
        prompt=reading.text(body, "prompt", chars_max=_PROMPT_CHARS_MAX),
        image_count=reading.integer(body, "num_images", default=1, lowest=1, highest=_IMAGES_MAX),
        size=_size(body),
        output_format=_FORMATS[reading.choice(body, "output_format", _FORMATS, default="jpeg")],
        seed=reading.seed(body),
    )


def _size(body: dict[str, Any]) -> tuple[int, int]:
    wanted = body.get("image_size")
    if isinstance(wanted, dict):
        return reading.pixels(wanted.get("width"), wanted.get("height"), field="image_size")
    return _NAMED_SIZES[reading.choice(body, "image_size", _NAMED_SIZES, default="square_hd")]


def _unauthorized(request: Request) -> Response | None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme == "Key" and key.strip():
        return None
    return reply(401, {"detail": "Authentication is required to access this application."})


def _infrastructure_error(status: int, headers: dict[str, str]) -> Response:
    error_type = _ERROR_TYPES.get(status, "internal_server_error")
    body = {"detail": error_type.replace("_", " ").capitalize(), "error_type": error_type}
    return reply(status, body, headers | {"X-Fal-Error-Type": error_type})


def _problem(field: str, message: str, kind: str) -> dict[str, Any]:
    where = ["body", field] if field else ["body"]
    return {"loc": where, "msg": message, "type": kind, "url": f"https://docs.fal.ai/errors#{kind}"}


def _headers(request_id: str) -> dict[str, str]:
    return {"x-fal-request-id": request_id}
