"""Puts the API together and writes its OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.types import ASGIApp

from services.ingest.api.account import account_routes
from services.ingest.api.admin import admin_routes
from services.ingest.api.docs_page import add_docs_page
from services.ingest.api.guard import Guard
from services.ingest.api.inputs import input_routes
from services.ingest.api.middleware import BodyLimit, Envelope
from services.ingest.api.problems import Problem, install
from services.ingest.api.requests import InputUrlRequest, TaskRequest
from services.ingest.api.tasks import task_routes
from services.ingest.api.webhooks import webhook_routes
from services.ingest.app.access import Access
from services.ingest.app.accounts import Accounts
from services.ingest.app.offers import Offers
from services.ingest.app.orders import Orders
from services.ingest.app.reading import Reading
from services.ingest.app.screening import InputScreening
from services.ingest.app.webhooks import Webhooks

_DESCRIPTION: Final = (
    "Order K good outputs: more candidates are generated than needed, every one is scored, and only what"
    " passes is delivered and charged. Amounts are integers of micro-units: 1,000,000 make a credit, and"
    " 1,000,000 make a USD. Every error is a problem document (RFC 9457) with a stable `code`."
)
_RAW_MODELS: Final[tuple[type[BaseModel], ...]] = (TaskRequest, InputUrlRequest)
"""Bodies that routes validate from bytes themselves, which FastAPI therefore does not see."""


@dataclass(frozen=True, slots=True)
class UseCases:
    """Everything the routes call."""

    access: Access
    orders: Orders
    reading: Reading
    offers: Offers
    accounts: Accounts
    screening: InputScreening
    webhooks: Webhooks


def build_app(cases: UseCases, credit_value_usd_micro: int) -> FastAPI:
    """Build the routes, without what is around every request."""
    app = FastAPI(
        title="Winnow",
        version="1",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={"4XX": {"model": Problem}, "5XX": {"model": Problem}},
        generate_unique_id_function=lambda route: route.name,
    )
    install(app)
    guard = Guard(cases.access)
    app.include_router(task_routes(guard, cases.orders, cases.reading, credit_value_usd_micro))
    app.include_router(account_routes(guard, cases.offers, cases.accounts, cases.reading))
    app.include_router(input_routes(guard, cases.screening))
    app.include_router(webhook_routes(guard, cases.webhooks))
    app.include_router(admin_routes(guard, cases.access, cases.accounts))
    add_docs_page(app)
    written = app.openapi

    def openapi() -> dict[str, Any]:
        return _completed(written())

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
    return app


def around(app: ASGIApp, random_bytes: Callable[[int], bytes]) -> ASGIApp:
    """Put the request id, the headers and the body limit around the application."""
    return Envelope(BodyLimit(app), random_bytes)


def openapi_document() -> dict[str, Any]:
    """Give the OpenAPI document; the routes are declared without anything behind them."""
    nothing: Any = None
    cases = UseCases(nothing, nothing, nothing, nothing, nothing, nothing, nothing)
    return build_app(cases, credit_value_usd_micro=0).openapi()


def export_openapi(to: Path) -> None:
    """Write the document to a file, the same bytes for the same API."""
    to.write_text(
        json.dumps(openapi_document(), indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8"
    )


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    """Add the key scheme, the bodies read from bytes, and the media type of problems. May be repeated."""
    components = document.setdefault("components", {})
    components.setdefault("securitySchemes", {})["key"] = {"type": "http", "scheme": "bearer"}
    schemas = components.setdefault("schemas", {})
    for model in _RAW_MODELS:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for operations in document["paths"].values():
        for operation in operations.values():
            _problems_only(operation["responses"])
    return document


def _problems_only(responses: dict[str, Any]) -> None:
    for status, response in responses.items():
        if status[0] in "45":
            response["content"] = {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            }
