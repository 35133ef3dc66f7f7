"""Providers and their costs are for keys with the scope operator, wherever they could be read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.ingest.domain.keys import Scope
from services.ingest.domain.public import _FIELDS, OPERATORS
from tests.unit.ingest.builders import place, tell
from tests.unit.ingest.events import OFFERING
from tests.unit.ingest.fakes import CREDIT
from tests.unit.ingest.ingest_app import IngestApp, running
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import CandidatesFailed, TaskFailed
from winnow.contracts.values import EntryKind, FailedCandidate

CUSTOMER = (Scope.tasks_write, Scope.tasks_read, Scope.account_read, Scope.webhooks_write)
TELLING = (
    "usd",
    "provider",
    "offering",
    "route",
    "margin",
    "alternatives",
    "spend",
    "cost",
    "attempts_count",
)


def told(value: Any, path: str = "") -> list[str]:
    """Return the paths of everything in an answer that is named like a cost or a route and is there."""
    if isinstance(value, dict):
        return [found for name, part in value.items() for found in told(part, f"{path}/{name}")]
    if isinstance(value, list):
        return [found for part in value for found in told(part, path)]
    named = any(word in path for word in TELLING)
    return [path] if named and value is not None else []


def documents(text: str) -> list[Any]:
    """Return what a stream of events holds."""
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


async def read_all(world: IngestApp, client: Any, headers: dict[str, str]) -> dict[str, Any]:
    """Read everything that is about one delivered task."""
    tale = await place(world, client, await world.key(), f"order-{len(world.http_store.blocks)}")
    tell(world, tale)
    world.say(tale.entry(EntryKind.settle, 2 * CREDIT), "ledger", 1)
    await world.settle()
    path = f"/v1/tasks/{tale.ids['task_id']}"
    quote = {"template": "studio_headshot", "mode": "low_cost", "k": 2}
    order = quote | {"prompt": "a friendly engineer"}
    answers = {
        "task": await client.get(path, headers=headers),
        "tasks": await client.get("/v1/tasks", headers=headers),
        "candidates": await client.get(f"{path}/candidates", headers=headers),
        "outputs": await client.get(f"{path}/outputs", headers=headers),
        "bill": await client.get(f"{path}/bill", headers=headers),
        "entries": await client.get("/v1/account/entries", headers=headers),
        "account": await client.get("/v1/account", headers=headers),
        "quote": await client.post("/v1/quotes", json=quote, headers=headers),
        "placed": await client.post(
            "/v1/tasks", json=order, headers=headers | {"Idempotency-Key": "another"}
        ),
        "templates": await client.get("/v1/templates", headers=headers),
        "deliveries": await client.get("/v1/webhook-deliveries", headers=headers),
    }
    assert {answer.status_code for answer in answers.values()} <= {200, 202}, answers
    stream = await client.get(f"{path}/events", headers=headers)
    return {name: answer.json() for name, answer in answers.items()} | {"events": documents(stream.text)}


async def test_a_customer_reads_no_cost_and_no_route_anywhere():
    world = IngestApp()
    async with running(world) as client:
        answers = await read_all(world, client, await world.key("acct_one", *CUSTOMER))
        offerings = await client.get("/v1/offerings", headers=await world.key("acct_one", *CUSTOMER))
    assert len(answers["events"]) == 11
    assert told(answers) == []
    assert OFFERING not in json.dumps(answers)
    assert (offerings.status_code, offerings.json()["scope"]) == (403, "operator")


async def read_marked(world: IngestApp, client: Any, *scopes: Scope) -> str:
    """Read everything about a task whose plan and provider reasons hold marked words."""
    headers = await world.key("acct_one", *CUSTOMER, *scopes)
    tale = await place(world, client, headers)
    refused = tale.finished().model_copy(update={"reason": "no_mark_credit"})
    failed = CandidatesFailed(
        **tale.ids,
        round_index=0,
        candidates=[
            FailedCandidate(candidate_id=tale.first, reason="no_mark_credit"),
            FailedCandidate(candidate_id=tale.second, reason="content_policy"),
        ],
    )
    planned = tale.planned().model_copy(update={"reason": "passes at mark_rate 0.431"})
    told_events = (planned, tale.submitted(), refused, failed, tale.closed())
    world.say(tale.funded(), "ledger", 1)
    for sequence, event in enumerate(told_events, 1):
        world.say(event, "router", sequence)
    world.say(TaskFailed(**tale.ids, code=ErrorCode.no_offering, stage="router", reason="none"), "router", 6)
    world.say(tale.settled().model_copy(update={"delivered_count": 0}), "ledger", 2)
    await world.settle()
    path = f"/v1/tasks/{tale.ids['task_id']}"
    places = (path, "/v1/tasks", f"{path}/candidates", f"{path}/bill", f"{path}/events")
    answers = [await client.get(place_, headers=headers) for place_ in places]
    assert [answer.status_code for answer in answers] == [200] * len(places)
    return "\n".join(f"{place_} {answer.text}" for place_, answer in zip(places, answers, strict=True))


@pytest.mark.parametrize(
    ("mark", "places_count"),
    [
        # The task, its list and the events; the bill has no plan.
        ("mark_rate", 3),
        # The task, its list, the candidates, and two events.
        ("no_mark_credit", 5),
    ],
)
async def test_a_reason_about_a_provider_or_its_rate_is_read_by_operators_alone(mark: str, places_count: int):
    customers, operators = IngestApp(), IngestApp()
    async with running(customers) as client:
        seen = await read_marked(customers, client)
    async with running(operators) as client:
        shown = await read_marked(operators, client, Scope.operator)
    assert mark not in seen
    assert shown.count(mark) == places_count


async def test_a_customer_reads_that_a_candidate_failed_and_whether_its_content_was_refused():
    world = IngestApp()
    async with running(world) as client:
        seen = await read_marked(world, client)
    # The task, its list, the candidates and the event of their failure.
    assert seen.count('"content_policy"') == 4
    assert '"failure_reasons":{"content_policy":1,"generation_failed":1}' in seen


async def test_an_operator_reads_them_all():
    world = IngestApp()
    async with running(world) as client:
        answers = await read_all(world, client, await world.key("acct_one", *CUSTOMER, Scope.operator))
    found = set(told(answers))
    for path in (
        "/task/routes/offering",
        "/tasks/tasks/spend/actual_usd_micro",
        "/candidates/candidates/provider",
        "/bill/actual_cost_usd_micro",
        "/bill/routes/cost_per_accepted_usd_micro",
        "/bill/margin/margin_usd_micro",
        "/quote/cheapest_cost_usd_micro",
        "/events/fields/offering",
        "/events/fields/expected_cost_usd_micro",
        "/events/fields/cost/actual_usd_micro",
    ):
        assert path in found


@pytest.mark.parametrize("event_type", sorted(_FIELDS))
def test_every_field_that_tells_a_cost_or_a_route_is_an_operators(event_type: str):
    telling = {name for name in _FIELDS[event_type] if any(word in name for word in TELLING)}
    assert telling <= OPERATORS.get(event_type, frozenset())
    assert OPERATORS.get(event_type, frozenset()) <= set(_FIELDS[event_type])
