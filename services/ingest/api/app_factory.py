"""Puts the API together and writes its OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from starlette.types import ASGIApp

from services.ingest.api.account import account_routes
from services.ingest.api.admin import admin_routes
from services.ingest.api.auth import Guard
from services.ingest.api.docs_page import add_docs_page
from services.ingest.api.document import complete
from services.ingest.api.inputs import input_routes
from services.ingest.api.middleware import BodyLimit, CommonHeaders
from services.ingest.api.problems import Problem, install
from services.ingest.api.tasks import task_routes
from services.ingest.api.webhooks import webhook_routes
from services.ingest.app.access import Access
from services.ingest.app.account_limits import AccountLimits
from services.ingest.app.accounts import Accounts
from services.ingest.app.offers import Offers
from services.ingest.app.orders import Orders
from services.ingest.app.screening import InputScreening
from services.ingest.app.task_queries import TaskQueries
from services.ingest.app.webhooks import Webhooks

_DESCRIPTION: Final = (
    "Order K good outputs: more candidates are generated than needed, every one is scored, and only what"
    " passes is delivered and charged. Amounts are integers of micro-units: 1,000,000 make a credit, and"
    " 1,000,000 make a USD. Every error is a problem document (RFC 9457) with a stable `code`."
)


@dataclass(frozen=True, slots=True)
class UseCases:
    """Everything the routes call."""

    access: Access
    orders: Orders
    queries: TaskQueries
    offers: Offers
    accounts: Accounts
    screening: InputScreening
    webhooks: Webhooks
    limits: AccountLimits


def build_app(cases: UseCases, credit_value_usd_micro: int) -> FastAPI:
    """Build the routes, without what is around every request."""
    app = FastAPI(
        title="Winnow",
        version="1",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={"default": {"model": Problem}},
        generate_unique_id_function=lambda route: route.name,
    )
    install(app)
    guard = Guard(cases.access)
    routers = (
        task_routes(guard, cases.orders, cases.queries, credit_value_usd_micro),
        account_routes(guard, cases.offers, cases.accounts, cases.queries),
        input_routes(guard, cases.screening),
        webhook_routes(guard, cases.webhooks),
        admin_routes(guard, cases.access, cases.accounts, cases.limits),
    )
    for router in routers:
        app.include_router(router)
    add_docs_page(app)
    app.state.addresses = [*app.routes, *(route for router in routers for route in router.routes)]
    written = app.openapi

    def openapi() -> dict[str, Any]:
        return complete(written())

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
    return app


def wrap_app(app: ASGIApp, random_bytes: Callable[[int], bytes]) -> ASGIApp:
    """Put the request id, the headers and the body limit around the application."""
    return CommonHeaders(BodyLimit(app), random_bytes)


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document; the routes are declared without anything behind them."""
    nothing: Any = None
    cases = UseCases(*[nothing] * 8)
    return build_app(cases, credit_value_usd_micro=0).openapi()


def export_openapi(to: Path) -> None:
    """Write the document to a file, the same bytes for the same API."""
    to.write_text(
        json.dumps(openapi_document(), indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8"
    )
