"""Simulated Replicate predictions: create (three ways), get, list, cancel, waiting, deadlines, webhooks.

The shapes follow replicate 1.0.7 and Replicate's published HTTP reference.
"""

from __future__ import annotations

import base64
import re
from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from simulators import reading
from simulators.generation import Generation, Stage, Wanted
from simulators.hooks import ReplicateHooks
from simulators.reading import InputProblem
from simulators.renderer import OutputFormat
from simulators.wire import json_object, link, reply, retry_after, withhold_reply
from simulators.world import Outcome, World
from winnow.runtime.clock import random_bytes

_PAGE_LENGTH: Final = 100
_IMAGES_MAX: Final = 4
_PROMPT_CHARS_MAX: Final = 32_000
_FORMATS: Final[dict[str, OutputFormat]] = {"jpg": "jpeg", "jpeg": "jpeg", "png": "png", "webp": "webp"}
_WAIT_MAX_S: Final = 60
_ASPECTS: Final = {
    "1:1": (1024, 1024),
    "16:9": (1024, 576),
    "9:16": (576, 1024),
    "3:2": (1024, 680),
    "2:3": (680, 1024),
    "4:3": (1024, 768),
    "3:4": (768, 1024),
    "4:5": (816, 1024),
    "5:4": (1024, 816),
}
_STATUSES: Final = {
    Stage.queued: "starting",
    Stage.running: "processing",
    Stage.succeeded: "succeeded",
    Stage.failed: "failed",
    Stage.canceled: "canceled",
    Stage.aborted: "aborted",
}
_VERSION: Final = re.compile(r"(?:([\w.-]+/[\w.-]+):)?([0-9a-f]{64})")
_DURATION: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")


def routes(world: World) -> APIRouter:
    """Build the vendor's routes."""
    replicate = _Replicate(world)
    router = APIRouter(prefix="/v1")
    router.add_api_route("/predictions", replicate.create_by_version, methods=["POST"])
    router.add_api_route("/predictions", replicate.listing, methods=["GET"])
    router.add_api_route("/models/{owner}/{name}/predictions", replicate.create_by_model, methods=["POST"])
    router.add_api_route(
        "/deployments/{owner}/{name}/predictions", replicate.create_by_model, methods=["POST"]
    )
    router.add_api_route("/predictions/{prediction_id}", replicate.get, methods=["GET"])
    router.add_api_route("/predictions/{prediction_id}/cancel", replicate.cancel, methods=["POST"])
    router.add_api_route("/webhooks/default/secret", replicate.secret, methods=["GET"])
    return router


class _Replicate:
    def __init__(self, world: World) -> None:
        self._world = world
        self._models: dict[str, tuple[str, str]] = {}
        self._hooks = ReplicateHooks(world)

    async def create_by_version(self, request: Request) -> Response:
        body = await json_object(request) or {}
        version = body.get("version")
        matched = _VERSION.fullmatch(version) if isinstance(version, str) else None
        if matched is None:
            return self._unauthorized(request) or _invalid("version", "- version is required")
        return await self._create(request, body, matched[1] or "simulated/images", matched[2])

    async def create_by_model(self, request: Request, owner: str, name: str) -> Response:
        body = await json_object(request) or {}
        return await self._create(request, body, f"{owner}/{name}", "hidden")

    async def listing(self, request: Request) -> Response:
        if (refused := self._unauthorized(request) or self._outage()) is not None:
            return refused
        ids = list(reversed(self._world.generations))
        start = int(cursor) if (cursor := request.query_params.get("cursor", "0")).isdecimal() else 0
        page = ids[start : start + _PAGE_LENGTH]
        after, before = start + _PAGE_LENGTH, max(0, start - _PAGE_LENGTH)
        return reply(
            200,
            {
                "previous": link(request, f"/v1/predictions?cursor={before}") if start else None,
                "next": link(request, f"/v1/predictions?cursor={after}") if after < len(ids) else None,
                "results": [self._prediction(request, self._world.generations[name]) for name in page],
            },
        )

    async def get(self, request: Request, prediction_id: str) -> Response:
        if (refused := self._unauthorized(request) or self._outage()) is not None:
            return refused
        generation = self._world.generations.get(prediction_id)
        if generation is None:
            return _not_found()
        return reply(200, self._prediction(request, generation))

    async def cancel(self, request: Request, prediction_id: str) -> Response:
        if (refused := self._unauthorized(request) or self._outage()) is not None:
            return refused
        generation = self._world.generations.get(prediction_id)
        if generation is None:
            return _not_found()
        self._world.cancel(generation)
        return reply(200, self._prediction(request, generation))

    async def secret(self, request: Request) -> Response:
        return self._unauthorized(request) or reply(200, {"key": self._hooks.secret})

    async def _create(self, request: Request, body: dict[str, Any], model: str, version: str) -> Response:
        if (unauthorized := self._unauthorized(request)) is not None:
            return unauthorized
        outcome = self._world.knock()
        if (refusal := self._refusal(outcome, request)) is not None:
            return refusal
        try:
            wanted = _wanted(body.get("input"))
        except InputProblem as problem:
            return _invalid(f"input.{problem.field}", f"- input.{problem.field}: {problem.detail}")
        prediction_id = base64.b32encode(random_bytes(16)).decode().lower().rstrip("=")
        generation = self._world.accept(wanted, prediction_id)
        self._models[prediction_id] = (model, version)
        if outcome is Outcome.reply_lost:
            self._world.replies_lost.add(prediction_id)
            withhold_reply(request, outcome)
        if (limit_s := _duration_s(request.headers.get("cancel-after", ""))) is not None:
            self._world.spawn(_stop_after(self._world, generation, limit_s))
        if isinstance(url := body.get("webhook"), str):
            events = body.get("webhook_events_filter") or ["start", "output", "logs", "completed"]
            self._world.spawn(
                self._hooks.follow(
                    generation,
                    url,
                    frozenset(events),
                    lambda: self._prediction(request, generation),
                )
            )
        if (wait_s := _prefer_wait_s(request.headers.get("prefer", ""))) is not None:
            await generation.ends_within(wait_s)
        return reply(201, self._prediction(request, generation))

    def _refusal(self, outcome: Outcome, request: Request) -> Response | None:
        match outcome:
            case Outcome.outage:
                return self._outage() or _server_error(503)
            case Outcome.error:
                return _server_error(self._world.controls.error_status)
            case Outcome.too_many:
                wait_s = max(1, round(self._world.controls.retry_after_s))
                detail = f"Request was throttled. Your rate limit resets in ~{wait_s}s."
                return reply(429, {"detail": detail, "status": 429}, retry_after(self._world))
            case Outcome.filtered:
                detail = "- input: NSFW content detected. Try a different prompt."
                return _invalid("input", detail)
            case Outcome.hang:
                withhold_reply(request, outcome)
                return Response()
            case Outcome.accepted | Outcome.reply_lost:
                return None

    def _outage(self) -> Response | None:
        return _server_error(503) if self._world.is_out(submitting=False) else None

    def _unauthorized(self, request: Request) -> Response | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme in {"Bearer", "Token"} and token.strip():
            return None
        detail = "You did not pass a valid authentication token"
        return reply(401, {"title": "Unauthenticated", "detail": detail, "status": 401})

    def _prediction(self, request: Request, generation: Generation) -> dict[str, Any]:
        model, version = self._models[generation.request_id]
        wanted = generation.wanted
        succeeded = generation.stage is Stage.succeeded
        address = f"/v1/predictions/{generation.request_id}"
        status = _STATUSES[generation.stage]
        if self._world.controls.status_word and not generation.stage.is_final:
            status = self._world.controls.status_word
        fields = {"prompt": wanted.prompt, "num_outputs": wanted.image_count}
        return {
            "id": generation.request_id,
            "model": model,
            "version": version,
            "input": fields if wanted.seed is None else fields | {"seed": wanted.seed},
            "logs": f"Using seed: {generation.seed}\n" if generation.started_at else "",
            "output": [link(request, f"/files/{picture.file_name}") for picture in generation.pictures]
            if succeeded
            else None,
            "data_removed": False,
            "error": _error(generation),
            "status": status,
            "metrics": {"predict_time": generation.running_s, "total_time": _total_s(generation)}
            if generation.stage.is_final
            else {},
            "created_at": generation.accepted_at.isoformat(),
            "started_at": _iso(generation.started_at),
            "completed_at": _iso(generation.ended_at),
            "urls": {"get": link(request, address), "cancel": link(request, f"{address}/cancel")},
        }


async def _stop_after(world: World, generation: Generation, limit_s: float) -> None:
    """Enforce ``Cancel-After``: aborted (free) if it never started, canceled (billed) if it ran."""
    if not await generation.ends_within(limit_s):
        generation.end(Stage.canceled if generation.started_at else Stage.aborted, world.clock.now())


def _wanted(fields: object) -> Wanted:
    """Read the model's input.

    Raises:
        InputProblem: a field cannot be used.
    """
    if not isinstance(fields, dict):
        raise InputProblem("input", "missing", "input is required")
    return Wanted(
        prompt=reading.text(fields, "prompt", chars_max=_PROMPT_CHARS_MAX),
        image_count=reading.integer(fields, "num_outputs", default=1, lowest=1, highest=_IMAGES_MAX),
        size=_size(fields),
        output_format=_FORMATS[reading.choice(fields, "output_format", _FORMATS, default="jpg")],
        seed=reading.seed(fields),
    )


def _size(fields: dict[str, Any]) -> tuple[int, int]:
    width, height = fields.get("width"), fields.get("height")
    if width is None and height is None:
        return _ASPECTS[reading.choice(fields, "aspect_ratio", _ASPECTS, default="1:1")]
    return reading.pixels(width, height, field="width")


def _prefer_wait_s(prefer: str) -> float | None:
    word, _, seconds = prefer.strip().partition("=")
    if word != "wait":
        return None
    wanted = int(seconds) if seconds.isdecimal() else _WAIT_MAX_S
    return float(min(max(wanted, 1), _WAIT_MAX_S))


def _duration_s(text: str) -> float | None:
    matched = _DURATION.fullmatch(text.strip())
    if matched is None or not any(matched.groups()):
        return None
    hours, minutes, seconds = (int(part or 0) for part in matched.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


def _error(generation: Generation) -> str | None:
    match generation.stage:
        case Stage.failed:
            return "Prediction interrupted; please retry (code: PA)"
        case Stage.aborted:
            return "Prediction aborted: the deadline passed before it started"
        case _:
            return None


def _total_s(generation: Generation) -> float:
    ended_at = generation.ended_at or generation.accepted_at
    return (ended_at - generation.accepted_at).total_seconds()


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _invalid(field: str, detail: str) -> Response:
    return reply(
        422,
        {
            "title": "Input validation failed",
            "detail": detail,
            "status": 422,
            "invalid_fields": [{"field": field, "description": detail.removeprefix("- ")}],
        },
    )


def _not_found() -> Response:
    return reply(
        404,
        {
            "title": "Not Found",
            "detail": "The requested resource could not be found.",
            "status": 404,
        },
    )


def _server_error(status: int) -> Response:
    return reply(
        status,
        {"title": "Service unavailable", "detail": "Please try again later.", "status": status},
    )
