"""Completes the OpenAPI document: every status an operation may answer, its headers, its examples and its links."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

from services.ingest.api.examples import BODIES, LINKS, PARAMETERS
from services.ingest.api.problems import CONTENT_TYPE
from services.ingest.api.requests import InputUrlRequest, TaskRequest

_RAW_MODELS: Final[tuple[type[BaseModel], ...]] = (TaskRequest, InputUrlRequest)
"""Bodies that routes validate from bytes themselves, which FastAPI therefore does not see."""
_PROBLEM: Final = {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_WORDS: Final = {
    400: "The Idempotency-Key header is missing.",
    401: "The API key is missing, not known, revoked or expired.",
    402: "Insufficient credits, with the shortfall.",
    403: "The key lacks the scope, or its account may not have what is asked for.",
    404: "There is no such thing, or not for this account.",
    409: "It contradicts an earlier request, or the state that was reached.",
    413: "The body is larger than is read.",
    415: "The body is of a media type or a content coding that is not read here.",
    422: "The request is understood and cannot be served as it is; `code` and `pointer` say why and where.",
    429: "Too many requests; wait as long as Retry-After says.",
    500: "A fault of ours; it was noted under the request id.",
    503: "A part that is needed does not answer; ask again after Retry-After.",
}
_ALWAYS: Final = (401, 403, 422, 429, 500, 503)
_RETRIED: Final = (429, 503)
_CONFLICTS: Final = frozenset({"place_task", "cancel_task", "grant_credits", "refund_task"})
_RETRY: Final = {
    "Retry-After": {
        "description": "Seconds to wait.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
_REQUEST_ID: Final = {
    "X-Request-Id": {
        "description": "The id of this request, to give when asking for help.",
        "required": True,
        "schema": {"type": "string"},
    }
}


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Complete a document that FastAPI wrote; doing it again changes nothing."""
    components = document.setdefault("components", {})
    components.setdefault("securitySchemes", {})["key"] = {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, or the administrator's token.",
    }
    schemas = components.setdefault("schemas", {})
    for model in _RAW_MODELS:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _add_problems(path, method, operation)
            _add_examples(operation)
            _add_links(operation)
    return document


def _add_problems(path: str, method: str, operation: dict[str, Any]) -> None:
    """Add every error that an operation may answer, each as a problem."""
    responses = operation["responses"]
    for status in [code for code in responses if code[0] in "45" or code == "default"]:
        del responses[status]
    for response in responses.values():
        response.setdefault("headers", {}).update(_REQUEST_ID)
    for status in sorted(_statuses(path, method, operation)):
        headers = _REQUEST_ID | (_RETRY if status in _RETRIED else {})
        responses[str(status)] = {"description": _WORDS[status], "content": _PROBLEM, "headers": headers}


def _statuses(path: str, method: str, operation: dict[str, Any]) -> set[int]:
    name, headers = (
        operation["operationId"],
        [parameter["name"] for parameter in operation.get("parameters", ())],
    )
    return {
        *_ALWAYS,
        *((400,) if "Idempotency-Key" in headers else ()),
        *((402,) if name == "place_task" else ()),
        *((404,) if "{" in path else ()),
        *((409,) if name in _CONFLICTS else ()),
        *((413,) if method != "get" else ()),
        *((415,) if "requestBody" in operation else ()),
    }


def _add_examples(operation: dict[str, Any]) -> None:
    """Set parameters and bodies to the values of the example order."""
    name = operation["operationId"]
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _without_null(parameter["schema"])
        example = PARAMETERS.get(name, {}).get(parameter["name"], PARAMETERS["*"].get(parameter["name"]))
        if example is not None:
            parameter["example"] = example
    for media_type, example in BODIES.get(name, {}).items():
        operation["requestBody"]["content"][media_type]["example"] = example


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter, which is left out and never null."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) != 1:
        return schema
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**choices[0], **rest}


def _add_links(operation: dict[str, Any]) -> None:
    """Add the links from an answer to the operations that take its values."""
    for status, links in LINKS.get(operation["operationId"], {}).items():
        operation["responses"][status]["links"] = {
            f"{target}_by_{place.replace('/', '_').strip('_')}": {
                "operationId": target,
                "parameters": {parameter: f"$response.body#{place}"},
            }
            for target, parameter, place in links
        }
