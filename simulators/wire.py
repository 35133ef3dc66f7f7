"""Common wire of the simulated providers: health, picture files, control, truth, and lost replies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from email.utils import format_datetime
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulators.provider_profile import Control, Controls
from simulators.world import Outcome, World

#: How long a hanging call holds the connection if the client does not give up first.
HANG_LIMIT_S: Final = 600.0


def build_app(world: World, vendor: APIRouter) -> ASGIApp:
    """Build the app of one provider: the vendor's routes beside the common routes."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await world.prepare()
        yield
        await world.close()

    app = FastAPI(
        title=f"Simulated {world.profile.provider}",
        lifespan=lifespan,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.include_router(_common(world))
    app.include_router(vendor)
    return UnreliableConnections(app)


def withhold_reply(request: Request, outcome: Outcome) -> None:
    """Make the connection drop (or hang) instead of carrying the reply to this request."""
    request.state.withheld = outcome


def retry_after(world: World) -> dict[str, str]:
    """Return the Retry-After header a refusal carries, in the form the controls ask for."""
    seconds = world.controls.retry_after_s
    match world.controls.retry_after_form:
        case "none":
            return {}
        case "date":
            return {
                "Retry-After": format_datetime(world.clock.now() + timedelta(seconds=seconds), usegmt=True)
            }
        case "seconds":
            return {"Retry-After": str(max(1, round(seconds)))}


def link(request: Request, path: str) -> str:
    """Return an absolute URL on this simulator, as the client reached it."""
    return f"{str(request.base_url).rstrip('/')}{path}"


def reply(status: int, body: object, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return a JSON reply."""
    return JSONResponse(body, status_code=status, headers=dict(headers or {}))


async def json_object(request: Request) -> dict[str, Any] | None:
    """Return the request's JSON object; null where the body is anything else."""
    try:
        body = await request.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _common(world: World) -> APIRouter:
    router = APIRouter()

    @router.get("/livez")
    @router.get("/readyz")
    async def health() -> dict[str, str]:
        return {"status": "ok", "provider": world.profile.provider}

    @router.get("/files/{name}")
    async def picture(name: str) -> Response:
        made = world.gallery.file(name)
        if made is None:
            return reply(404, {"detail": "Not Found"})
        return Response(made.content, media_type=made.content_type)

    @router.post("/_control")
    async def control(wanted: Control) -> Controls:
        return world.control(wanted)

    @router.get("/_control")
    async def controls() -> Controls:
        return world.controls

    @router.get("/_truth")
    async def truth() -> JSONResponse:
        return reply(200, world.gallery.truth())

    @router.get("/_ledger")
    async def ledger() -> JSONResponse:
        return reply(200, world.ledger())

    return router


class UnreliableConnections:
    """Outermost layer: closes the connection where a handler asked that its reply be withheld."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an app."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state: dict[str, object] = scope.setdefault("state", {})

        async def guarded(message: Message) -> None:
            if "withheld" not in state:
                await send(message)

        await self._app(scope, receive, guarded)
        if "withheld" in state:
            if state["withheld"] is Outcome.hang:
                await _until_gone(receive, HANG_LIMIT_S)
            _hang_up(send)
            await _until_gone(receive, 5.0)


async def _until_gone(receive: Receive, limit_s: float) -> None:
    try:
        async with asyncio.timeout(limit_s):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return


def _hang_up(send: Send) -> None:
    """Close the connection under uvicorn's ``send``; ASGI itself has no word for hanging up.

    Raises:
        TypeError: the server is not uvicorn.
    """
    close = getattr(getattr(getattr(send, "__self__", None), "transport", None), "close", None)
    if close is None:
        raise TypeError("dropping a connection needs uvicorn")
    close()
