"""Checks before every operation: a key with its scope, known parameters once each, a JSON body."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from services.ingest.api.auth import SCOPE_FIELD, Guard
from services.ingest.api.json_body import parse, require_json
from services.ingest.domain.keys import Scope
from winnow.contracts.errors import ErrorCode, Refused

_NAME_SHOWN_MAX = 100


class StrictRequest(Request):
    """A request whose JSON is read strictly."""

    async def json(self) -> Any:
        """Read the body; raises Refused."""
        return parse(await self.body())


def strict_route(guard: Guard) -> type[APIRoute]:
    """Return the class of routes behind a guard; a route names its scope in its declaration.

    The key comes first, so that nobody without it learns what else is wrong with a request.
    """

    class StrictRoute(APIRoute):
        """A route behind the guard."""

        def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
            """Wrap FastAPI's handler."""
            handle = super().get_route_handler()
            scope = Scope((self.openapi_extra or {})[SCOPE_FIELD])
            known = frozenset(parameter.alias for parameter in self.dependant.query_params)
            takes_json = self.body_field is not None

            async def handler(request: Request) -> Response:
                request.state.principal = await guard.admit(request, scope)
                check_parameters(request, known)
                if takes_json:
                    require_json(request)
                return await handle(StrictRequest(request.scope, request.receive))

            return handler

    return StrictRoute


def check_parameters(request: Request, known: Collection[str]) -> None:
    """Raise Refused for a query parameter that the operation has not (``unknown_field``) or that comes twice."""
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        shown = name.encode("utf-8", "replace").decode()[:_NAME_SHOWN_MAX]
        if name not in known:
            raise Refused(ErrorCode.unknown_field, f"There is no parameter {shown}.", pointer=shown)
        if name in seen:
            raise Refused(ErrorCode.duplicate_field, f"The parameter {shown} is given twice.", pointer=shown)
        seen.add(name)
