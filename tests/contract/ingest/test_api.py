"""Promises to clients: scopes, statuses, the shape of the document."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.ingest.api import export_openapi
from services.ingest.api.auth import SCOPE_FIELD
from services.ingest.api.problems import STATUS
from services.ingest.bus import READS, TABLE
from services.ingest.domain.keys import Scope
from services.ingest.domain.public import _FIELDS
from tests.support.api_document import api_document
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import ACCOUNT_EVENTS, TASK_EVENTS

DOCUMENT = api_document()
OPERATIONS = [
    (method.upper(), path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]
PUBLIC = {
    "POST /v1/tasks": "tasks:write",
    "GET /v1/tasks": "tasks:read",
    "GET /v1/tasks/{task_id}": "tasks:read",
    "GET /v1/tasks/{task_id}/candidates": "tasks:read",
    "GET /v1/tasks/{task_id}/candidates/{candidate_id}/preview": "operator",
    "GET /v1/tasks/{task_id}/outputs": "tasks:read",
    "GET /v1/tasks/{task_id}/bill": "tasks:read",
    "GET /v1/tasks/{task_id}/events": "tasks:read",
    "POST /v1/tasks/{task_id}/cancel": "tasks:write",
    "POST /v1/quotes": "tasks:read",
    "GET /v1/templates": "tasks:read",
    "GET /v1/offerings": "operator",
    "GET /v1/account": "account:read",
    "GET /v1/account/entries": "account:read",
    "POST /v1/inputs": "tasks:write",
    "POST /v1/webhook-endpoints": "webhooks:write",
    "GET /v1/webhook-endpoints": "webhooks:write",
    "DELETE /v1/webhook-endpoints/{endpoint_id}": "webhooks:write",
    "GET /v1/webhook-deliveries": "webhooks:write",
    "POST /v1/webhook-deliveries/{delivery_id}/redeliver": "webhooks:write",
    "POST /v1/admin/keys": "admin",
    "GET /v1/admin/keys": "admin",
    "DELETE /v1/admin/keys/{key_id}": "admin",
    "GET /v1/admin/accounts/{account_id}": "admin",
    "PUT /v1/admin/accounts/{account_id}": "admin",
    "POST /v1/admin/accounts/{account_id}/grants": "admin",
    "POST /v1/admin/tasks/{task_id}/refund": "admin",
    "GET /v1/admin/tasks/{task_id}/refunds/{refund_id}": "admin",
}


def test_the_routes_and_their_scopes_are_the_listed_ones():
    assert {f"{method} {path}": operation[SCOPE_FIELD] for method, path, operation in OPERATIONS} == PUBLIC
    assert set(PUBLIC.values()) == {scope.value for scope in Scope}


def test_every_error_code_has_one_status_and_it_is_an_error():
    assert set(STATUS) == set(ErrorCode)
    assert all(400 <= status < 600 for status in STATUS.values())


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=lambda value: str(value)[:60])
def test_every_operation_documents_its_errors_as_problems(method: str, path: str, operation: dict):
    errors = {status: answer for status, answer in operation["responses"].items() if status[0] in "45"}
    assert {"401", "403", "422", "429", "500", "503"} <= set(errors), (method, path)
    assert not {"4XX", "5XX", "default"} & set(operation["responses"]), "a range would document anything"
    assert all(list(answer["content"]) == ["application/problem+json"] for answer in errors.values())
    assert operation["security"] == [{"key": []}]


def test_every_reference_of_the_document_leads_somewhere(tmp_path: Path):
    export_openapi(tmp_path / "openapi.json")
    text = (tmp_path / "openapi.json").read_text()
    known = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}

    def references(value: object) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*map(references, value.values()))
        return set().union(*map(references, value)) if isinstance(value, list) else set()

    assert references(json.loads(text)) <= known


def test_bodies_are_closed():
    bodies = [name for name in DOCUMENT["components"]["schemas"] if name.endswith("Request")]
    assert len(bodies) == 8
    for name in bodies:
        assert DOCUMENT["components"]["schemas"][name]["additionalProperties"] is False


def test_every_event_is_read_and_its_public_fields_are_listed_and_exist():
    assert set(READS) == {model.type_name() for model in (*TASK_EVENTS, *ACCOUNT_EVENTS)}
    assert set(TABLE) < set(READS)
    assert set(_FIELDS) == {model.type_name() for model in TASK_EVENTS}
    for model in TASK_EVENTS:
        assert set(_FIELDS[model.type_name()]) <= set(model.model_fields)


def test_no_public_field_of_an_event_is_a_stored_object():
    for name, include in _FIELDS.items():
        fields = next(model for model in TASK_EVENTS if model.type_name() == name).model_fields
        for field in include:
            assert "StoredObject" not in str(fields[field].annotation)
