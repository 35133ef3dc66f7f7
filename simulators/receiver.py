"""A webhook receiver: verifies Standard Webhooks signatures, keeps what came, misbehaves when asked to."""

from __future__ import annotations

import json
from typing import Any, Final, Literal

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.types import ASGIApp

from simulators.wire import UnreliableConnections, withhold_reply
from simulators.world import Outcome
from winnow.runtime.clock import Clock, SystemClock

_DELIVERIES_MAX: Final = 10_000


class ReceiverControl(BaseModel):
    """A change to the receiver; what is left out stays as it is.

    ``secrets`` are tried in turn (two overlap while one is rotated out). ``fail_next`` deliveries are
    answered with ``fail_status``, ``hang_next`` never, ``drop_next`` by closing the connection, and
    ``redirect_next`` with a 302 to another path of the receiver.
    """

    model_config = ConfigDict(extra="forbid")

    secrets: list[str] | None = None
    fail_next: int | None = Field(default=None, ge=0)
    fail_status: int | None = Field(default=None, ge=300, le=599)
    retry_after_s: int | None = Field(default=None, ge=0)
    hang_next: int | None = Field(default=None, ge=0)
    drop_next: int | None = Field(default=None, ge=0)
    redirect_next: int | None = Field(default=None, ge=0)
    clear: Literal[True] | None = None


class _Receiver:
    def __init__(self, secrets: list[str], clock: Clock) -> None:
        self._clock = clock
        self.secrets = secrets
        self.deliveries: list[dict[str, Any]] = []
        self.counts = {"fail_next": 0, "hang_next": 0, "drop_next": 0, "redirect_next": 0}
        self.fail_status = 500
        self.retry_after_s: int | None = None

    def control(self, wanted: ReceiverControl) -> dict[str, Any]:
        for name in self.counts:
            if (count := getattr(wanted, name)) is not None:
                self.counts[name] = count
        if wanted.secrets is not None:
            self.secrets = wanted.secrets
        if wanted.fail_status is not None:
            self.fail_status = wanted.fail_status
        if "retry_after_s" in wanted.model_fields_set:
            self.retry_after_s = wanted.retry_after_s
        if wanted.clear:
            self.deliveries.clear()
        return {**self.counts, "fail_status": self.fail_status, "secret_count": len(self.secrets)}

    async def receive(self, request: Request) -> Response:
        content = await request.body()
        problem = self._problem(content, dict(request.headers))
        answer = self._answer(request, problem)
        if len(self.deliveries) < _DELIVERIES_MAX:
            self.deliveries.append(
                {
                    "webhook_id": request.headers.get("webhook-id"),
                    "received_at": self._clock.now().isoformat(),
                    "path": request.url.path,
                    "verified": problem is None,
                    "problem": problem,
                    "answered": getattr(request.state, "withheld", None) or answer.status_code,
                    "headers": {
                        name: value for name, value in request.headers.items() if name.startswith("webhook-")
                    },
                    "body": _parsed(content),
                }
            )
        return answer

    def _answer(self, request: Request, problem: str | None) -> Response:
        if self._take("hang_next"):
            withhold_reply(request, Outcome.hang)
            return Response()
        if self._take("drop_next"):
            withhold_reply(request, Outcome.reply_lost)
            return Response()
        if self._take("redirect_next"):
            return Response(status_code=302, headers={"location": "/redirected"})
        if self._take("fail_next"):
            wait = {} if self.retry_after_s is None else {"retry-after": str(self.retry_after_s)}
            return Response(status_code=self.fail_status, headers=wait)
        return JSONResponse({"verified": problem is None}, status_code=200 if problem is None else 401)

    def _take(self, name: str) -> bool:
        if self.counts[name] == 0:
            return False
        self.counts[name] -= 1
        return True

    def _problem(self, content: bytes, headers: dict[str, str]) -> str | None:
        if not self.secrets:
            return "no secret is known"
        problem: str | None = None
        for secret in self.secrets:
            try:
                Webhook(secret).verify(content, headers)
            except WebhookVerificationError as error:
                problem = str(error) or type(error).__name__
            else:
                return None
        return problem


def build_receiver(secrets: list[str] | None = None, clock: Clock | None = None) -> ASGIApp:
    """Build the receiver; every path that is not ``/_...`` takes deliveries."""
    receiver = _Receiver(list(secrets or []), clock or SystemClock())
    app = FastAPI(title="Simulated webhook receiver", openapi_url=None, redirect_slashes=False)

    @app.get("/livez")
    @app.get("/readyz")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/_deliveries")
    async def deliveries() -> JSONResponse:
        return JSONResponse(receiver.deliveries)

    @app.post("/_control")
    async def control(wanted: ReceiverControl) -> dict[str, Any]:
        return receiver.control(wanted)

    app.add_api_route("/{path:path}", receiver.receive, methods=["POST"])
    return UnreliableConnections(app)


def _parsed(content: bytes) -> object:
    try:
        return json.loads(content)
    except ValueError:
        return None
