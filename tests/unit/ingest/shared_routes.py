"""The routes of ingest, built once per process: building them takes longer than most tests of what they answer."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import fields
from functools import cache
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from services.ingest.api.app_factory import UseCases, build_app
from tests.unit.ingest.fakes import CREDIT

_ANSWERING: ContextVar[UseCases] = ContextVar("answering")


class _Forwarded:
    """Stands for a use case; what is asked of it goes to the instance that answers the request."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(getattr(_ANSWERING.get(), self._name), attribute)


@cache
def _routes() -> ASGIApp:
    forwarded: dict[str, Any] = {field.name: _Forwarded(field.name) for field in fields(UseCases)}
    return build_app(UseCases(**forwarded), CREDIT)


def routes_of(cases: UseCases) -> ASGIApp:
    """Return the routes with these use cases behind them."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        token = _ANSWERING.set(cases)
        try:
            await _routes()(scope, receive, send)
        finally:
            _ANSWERING.reset(token)

    return answer
