"""The routes of tasks."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import ValidationError
from starlette.responses import Response

from services.ingest.api.answers import (
    BillAnswer,
    CancelAnswer,
    CandidateList,
    OutputList,
    TaskAnswer,
    TaskList,
)
from services.ingest.api.auth import Guard, Principal, admitted, scoped
from services.ingest.api.json_body import JSON, parse, require_json
from services.ingest.api.problems import validation_problem
from services.ingest.api.requests import TaskRequest
from services.ingest.api.serializers import (
    show_bill,
    show_cancel,
    show_candidate,
    show_event,
    show_outputs,
    show_task,
)
from services.ingest.api.strict import strict_route
from services.ingest.app.orders import Orders, Requester
from services.ingest.app.task_queries import TaskQueries
from services.ingest.domain.cursors import decode_cursor, encode_cursor
from services.ingest.domain.keys import Scope
from services.ingest.domain.public import EVENT_TYPES
from services.ingest.domain.task_projection import Page, PublicEvent
from services.ingest.domain.views import CandidateState
from winnow.contracts.errors import ErrorCode, Refused
from winnow.contracts.states import TaskState
from winnow.contracts.values import LINK_MAX_S

_IDEMPOTENCY_KEY: Final = re.compile(r"^[\x21-\x7e]{1,200}$")
TaskPath = Annotated[str, Path(max_length=64, description="The task's id.")]
Limit = Annotated[int, Query(ge=1, le=200, description="How many at most.")]
Cursor = Annotated[str | None, Query(max_length=400, description="next_cursor of the page before.")]


def idempotency_key_of(request: Request) -> str:
    """Return the Idempotency-Key; raises Refused when it is missing or no visible ASCII of 1 to 200 characters."""
    keys = request.headers.getlist("idempotency-key")
    key = keys[0] if keys else ""
    if not key:
        raise Refused(
            ErrorCode.idempotency_key_missing,
            "Send an Idempotency-Key header: the same key is one request, however often it is sent.",
        )
    if len(keys) > 1 or not _IDEMPOTENCY_KEY.fullmatch(key):
        raise Refused(
            ErrorCode.invalid_request, "An Idempotency-Key is 1 to 200 visible ASCII characters, given once."
        )
    return key


def requester_of(principal: Principal) -> Requester:
    """Return who asks, for the use cases."""
    return Requester(principal.account_id, principal.request_id, principal.traceparent, principal.sees_costs)


IDEMPOTENCY_HEADER: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "The same key is one request, however often it is sent.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[\\x21-\\x7e]+$"},
}


_PLACED_HEADERS: Final = {
    "Location": {"required": True, "description": "Where the task is.", "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "true when the key had made this task before.",
        "schema": {"type": "string", "enum": ["true"]},
    },
}
_EVENT: Final = {
    "type": "object",
    "description": "One event of the stream, by the fields of its lines; between events come comments.",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string", "pattern": "^[0-9]+$", "description": "Its number, for Last-Event-ID."},
        "event": {"type": "string", "enum": list(EVENT_TYPES)},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {
                "type": "object",
                "required": ["event_id", "number", "type", "task_id", "occurred_at", "fields"],
                "properties": {
                    "event_id": {"type": "string"},
                    "number": {"type": "integer", "minimum": 1},
                    "type": {"type": "string", "enum": list(EVENT_TYPES)},
                    "task_id": {"type": "string"},
                    "occurred_at": {"type": "string", "format": "date-time"},
                    "fields": {"type": "object", "description": "By type; about providers for operators."},
                },
            },
        },
    },
}
_PICTURE: Final = {"type": "string", "format": "binary"}
_PICTURES: Final = ("image/jpeg", "image/png", "image/webp")


def task_routes(guard: Guard, orders: Orders, queries: TaskQueries, credit_value_usd_micro: int) -> APIRouter:
    """Build the routes."""
    router = APIRouter(prefix="/v1/tasks", tags=["tasks"], route_class=strict_route(guard))
    _add_changes(router, orders)
    _add_questions(router, queries)
    _add_candidates(router, queries)
    _add_results(router, queries, credit_value_usd_micro)
    return router


def _add_questions(router: APIRouter, queries: TaskQueries) -> None:
    """Add the list of tasks, a task, and its stream of events."""
    reader = admitted(Scope.tasks_read)

    @router.get("", openapi_extra=scoped(Scope.tasks_read))
    async def list_tasks(
        principal: Principal = reader,
        state: Annotated[TaskState | None, Query(description="Only tasks in this state.")] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> TaskList:
        """List the account's tasks, newest first."""
        after = decode_cursor(cursor) if cursor else None
        views = await queries.tasks(
            principal.account_id, Page(after, limit + 1, state.value if state else None)
        )
        more = len(views) > limit
        tasks = [show_task(view, costs=principal.sees_costs) for view in views[:limit]]
        last = tasks[-1] if more else None
        place = encode_cursor(int(last.created_at.timestamp() * 1_000_000), last.id) if last else None
        return TaskList(tasks=tasks, next_cursor=place)

    @router.get("/{task_id}", openapi_extra=scoped(Scope.tasks_read))
    async def get_task(task_id: TaskPath, principal: Principal = reader) -> TaskAnswer:
        """Read a task: its funnel, rounds and end, and for operators its routes and spend."""
        return show_task(await queries.task(principal.account_id, task_id), costs=principal.sees_costs)

    @router.get(
        "/{task_id}/events",
        openapi_extra=scoped(Scope.tasks_read),
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {"schema": _EVENT}}}},
    )
    async def stream_events(
        task_id: TaskPath,
        principal: Principal = reader,
        last_event_id: Annotated[
            int | None, Header(ge=0, le=2**31, description="The last number seen.")
        ] = None,
        after: Annotated[int, Query(ge=0, le=2**31, description="As Last-Event-ID, for browsers.")] = 0,
    ) -> StreamingResponse:
        """Follow a task as server-sent events; ends when the task has its end and its bill."""
        await queries.task(principal.account_id, task_id)
        events = queries.events(
            principal.account_id, task_id, after if last_event_id is None else last_event_id
        )
        return StreamingResponse(
            _as_stream(events, costs=principal.sees_costs),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no"},
        )


def _add_candidates(router: APIRouter, queries: TaskQueries) -> None:
    """Add the list of a task's candidates and their pictures."""
    reader, operator = admitted(Scope.tasks_read), admitted(Scope.operator)

    @router.get("/{task_id}/candidates", openapi_extra=scoped(Scope.tasks_read))
    async def list_candidates(
        task_id: TaskPath,
        principal: Principal = reader,
        state: Annotated[CandidateState | None, Query(description="Only candidates in this state.")] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> CandidateList:
        """List a task's candidates with scores, verdicts and reasons."""
        after = decode_cursor(cursor) if cursor else None
        rows = await queries.candidates(
            principal.account_id, task_id, Page(after, limit + 1, state.value if state else None)
        )
        shown = rows[:limit]
        place = encode_cursor(shown[-1].get("place", 0), "") if len(rows) > limit else None
        candidates = [show_candidate(row, costs=principal.sees_costs) for row in shown]
        return CandidateList(candidates=candidates, next_cursor=place)

    @router.get(
        "/{task_id}/candidates/{candidate_id}/preview",
        openapi_extra=scoped(Scope.operator),
        response_class=Response,
        responses={200: {"content": {picture: {"schema": _PICTURE} for picture in _PICTURES}}},
    )
    async def preview_candidate(
        task_id: TaskPath,
        candidate_id: Annotated[str, Path(max_length=64)],
        principal: Principal = operator,
    ) -> Response:
        """Read a candidate's picture, chosen or not. For operators of the account only."""
        body, media_type = await queries.preview(principal.account_id, task_id, candidate_id)
        return Response(body, media_type=media_type)


def _add_results(router: APIRouter, queries: TaskQueries, credit_value_usd_micro: int) -> None:
    """Add the outputs and the bill."""
    reader = admitted(Scope.tasks_read)

    @router.get("/{task_id}/outputs", openapi_extra=scoped(Scope.tasks_read))
    async def list_outputs(
        task_id: TaskPath,
        principal: Principal = reader,
        expires_in_s: Annotated[
            int, Query(ge=0, le=LINK_MAX_S, description="Lifetime of the links; 0 for the default.")
        ] = 0,
    ) -> OutputList:
        """Read the outputs with fresh links."""
        view, links = await queries.outputs(principal.account_id, task_id, expires_in_s)
        return show_outputs(view, links)

    @router.get("/{task_id}/bill", openapi_extra=scoped(Scope.tasks_read))
    async def get_bill(task_id: TaskPath, principal: Principal = reader) -> BillAnswer:
        """Read the explained bill: promised, delivered, charged, and for operators what each provider cost."""
        view, bill, entries = await queries.bill(principal.account_id, task_id)
        value = credit_value_usd_micro if principal.sees_costs else None
        return show_bill(view, bill, entries, value)


def _add_changes(router: APIRouter, orders: Orders) -> None:
    """Add placing, the hot path, whose body is validated straight from its bytes, and cancelling."""
    writer = admitted(Scope.tasks_write)

    @router.post(
        "",
        status_code=202,
        response_class=Response,
        responses={
            202: {"model": TaskAnswer, "description": "The task is accepted.", "headers": _PLACED_HEADERS},
        },
        openapi_extra=scoped(
            Scope.tasks_write,
            parameters=[IDEMPOTENCY_HEADER],
            requestBody={
                "required": True,
                "content": {JSON: {"schema": {"$ref": "#/components/schemas/TaskRequest"}}},
            },
        ),
    )
    async def place_task(request: Request) -> Response:
        """Order K outputs. A repeated Idempotency-Key gets the answer to the first request."""
        principal: Principal = request.state.principal
        require_json(request)
        key = idempotency_key_of(request)
        text = await request.body()
        parse(text)
        try:
            form = TaskRequest.model_validate_json(text).form()
        except ValidationError as error:
            return validation_problem(request, error)
        accepted, duplicate = await orders.place(requester_of(principal), key, form)
        answer = show_task(accepted, costs=principal.sees_costs)
        headers = {"Location": f"/v1/tasks/{answer.id}"}
        if duplicate:
            headers["Idempotent-Replayed"] = "true"
        return Response(answer.model_dump_json(), 202, headers, JSON)

    @router.post("/{task_id}/cancel", openapi_extra=scoped(Scope.tasks_write))
    async def cancel_task(task_id: TaskPath, principal: Principal = writer) -> CancelAnswer:
        """Ask a task to stop; waits up to three seconds and says what was released."""
        return show_cancel(await orders.cancel(requester_of(principal), task_id))


async def _as_stream(events: AsyncIterator[PublicEvent | None], *, costs: bool) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    async for event in events:
        if event is None:
            yield ": still here\n\n"
            continue
        text = json.dumps(show_event(event, costs=costs), separators=(",", ":"), ensure_ascii=False)
        yield f"id: {event.number}\nevent: {event.type}\ndata: {text}\n\n"
