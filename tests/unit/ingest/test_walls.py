"""Ingest's walls between accounts, over every operation of the document, with a delivery that has lost its own."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from services.ingest.api.auth import SCOPE_FIELD
from services.ingest.app import accounts
from services.ingest.domain.answers import Link, WebhookDelivery, WebhookEndpoint
from services.ingest.domain.keys import Scope
from tests.support.api_document import api_document
from tests.unit.ingest.builders import place, tell
from tests.unit.ingest.events import Tale
from tests.unit.ingest.ingest_app import IngestApp, running
from winnow.contracts.ids import Prefix, derive_id

DOCUMENT = api_document()
UNKNOWN = {
    "task_id": derive_id(Prefix.task, "nothing"),
    "candidate_id": derive_id(Prefix.candidate, "nothing"),
    "endpoint_id": derive_id(Prefix.endpoint, "nothing"),
    "delivery_id": derive_id(Prefix.delivery, "nothing"),
}
OWNED_ELSEWHERE = {"delete_endpoint", "redeliver"}
"""Operations on what delivery owns: ingest's wall is the account that it names; the refusal is delivery's."""
SCOPED = [
    (method, path, operation["operationId"])
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
    if "{" in path and operation[SCOPE_FIELD] != Scope.admin
]


@dataclass
class OpenDelivery:
    """A delivery without walls: it answers for any account, and notes which it was asked for."""

    requester: list[tuple[str, str]] = field(default_factory=list)

    async def renew_links(self, account_id: str, task_id: str, expires_in_s: int) -> tuple[Link, ...]:
        del expires_in_s
        self.requester.append(("renew_links", account_id))
        out = derive_id(Prefix.output, task_id)
        return (Link(out, "http://files/out", "http://files/thumb", 300),)

    async def delete_endpoint(self, account_id: str, endpoint_id: str) -> None:
        del endpoint_id
        self.requester.append(("delete_endpoint", account_id))

    async def redeliver(self, account_id: str, delivery_id: str) -> WebhookDelivery:
        self.requester.append(("redeliver", account_id))
        return WebhookDelivery(delivery_id, "whe_x", "task_x", "task.delivered", "pending", (), None)

    async def endpoints(self, account_id: str) -> tuple[WebhookEndpoint, ...]:
        self.requester.append(("endpoints", account_id))
        return ()

    async def deliveries(self, account_id: str, task_id: str, limit: int) -> tuple[WebhookDelivery, ...]:
        del task_id, limit
        self.requester.append(("deliveries", account_id))
        return ()

    async def register_endpoint(self, account_id: str, url: str, event_types: Any) -> Any:
        self.requester.append(("register_endpoint", account_id))
        return WebhookEndpoint("whe_x", url, tuple(event_types), True, "2026-01-01T00:00:00Z"), "whsec_x"


async def opened() -> tuple[IngestApp, OpenDelivery]:
    world, delivery = IngestApp(), OpenDelivery()
    world.delivery = delivery  # type: ignore[assignment]
    world.cases = world._build()
    return world, delivery


async def delivered(world: IngestApp, client: Any) -> Tale:
    tale = await place(world, client, await world.key("acct_one"))
    tell(world, tale)
    await world.settle()
    candidate = await world.views.candidate("acct_one", tale.ids["task_id"], tale.first)
    assert candidate is not None
    world.files.objects[candidate["stored"]["key"]] = b"a picture"
    return tale


def ids_of(tale: Tale) -> dict[str, str]:
    return UNKNOWN | {"task_id": tale.ids["task_id"], "candidate_id": tale.first}


def without_request_id(answer: Any) -> dict[str, Any]:
    return {name: value for name, value in answer.json().items() if name != "request_id"}


def test_the_table_has_every_operation_on_one_accounts_things():
    assert {name for _, _, name in SCOPED} == {
        "get_task",
        "stream_events",
        "list_candidates",
        "preview_candidate",
        "list_outputs",
        "get_bill",
        "cancel_task",
        "delete_endpoint",
        "redeliver",
    }


@pytest.mark.parametrize(("method", "path", "name"), SCOPED, ids=[name for _, _, name in SCOPED])
async def test_another_accounts_thing_answers_as_one_that_is_not(method: str, path: str, name: str):
    world, delivery = await opened()
    async with running(world) as client:
        tale = await delivered(world, client)
        stranger = await world.key("acct_two", *(set(Scope) - {Scope.admin}))
        delivery.requester.clear()
        foreign = await client.request(method, path.format(**ids_of(tale)), headers=stranger)
        unknown = await client.request(method, path.format(**UNKNOWN), headers=stranger)
        await world.settle()
    if name in OWNED_ELSEWHERE:
        assert {account for _, account in delivery.requester} == {"acct_two"}
        return
    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert without_request_id(foreign) == without_request_id(unknown)
    assert delivery.requester == []
    assert world.published("task.cancel_requested") == []


@pytest.mark.parametrize(("method", "path", "name"), SCOPED, ids=[name for _, _, name in SCOPED])
async def test_the_owner_is_not_kept_out(method: str, path: str, name: str):
    world, _ = await opened()
    async with running(world) as client:
        tale = await delivered(world, client)
        owner = await world.key("acct_one", *(set(Scope) - {Scope.admin}))
        answer = await client.request(method, path.format(**ids_of(tale)), headers=owner)
    assert answer.status_code == (409 if name == "cancel_task" else answer.status_code)
    assert answer.status_code != 404, name


async def test_a_candidate_is_not_reached_through_a_task_of_ones_own():
    world, _ = await opened()
    async with running(world) as client:
        tale = await delivered(world, client)
        stranger = await world.key("acct_two", *(set(Scope) - {Scope.admin}))
        mine = await place(world, client, stranger)
        path = f"/v1/tasks/{mine.ids['task_id']}/candidates/{tale.first}/preview"
        answer = await client.get(path, headers=stranger)
    assert answer.status_code == 404


async def test_lists_hold_what_is_the_accounts_own():
    world, delivery = await opened()
    async with running(world) as client:
        tale = await delivered(world, client)
        stranger = await world.key("acct_two", *(set(Scope) - {Scope.admin}))
        answers = [
            await client.get(path, headers=stranger)
            for path in (
                "/v1/tasks",
                "/v1/account",
                "/v1/account/entries",
                "/v1/webhook-endpoints",
                f"/v1/webhook-deliveries?task_id={tale.ids['task_id']}",
            )
        ]
        hook = await client.post(
            "/v1/webhook-endpoints", json={"url": "https://a.example/"}, headers=stranger
        )
    for answer in (*answers, hook):
        assert answer.status_code in {200, 201}
        assert "acct_one" not in answer.text
        assert tale.ids["task_id"] not in answer.text
    assert {account for _, account in delivery.requester} == {"acct_two"}


async def test_an_input_of_another_account_is_no_input():
    world, _ = await opened()
    async with running(world) as client:
        png = b"\x89PNG\r\n\x1a\n rest"
        given = await client.post(
            "/v1/inputs", content=png, headers=await world.key("acct_one") | {"Content-Type": "image/png"}
        )
        order = {"template": "studio_headshot", "mode": "low_cost", "k": 2, "prompt": "x"}
        answers = [
            await client.post(
                "/v1/tasks",
                json=order | {"inputs": [input_id]},
                headers=await world.key("acct_two") | {"Idempotency-Key": "a"},
            )
            for input_id in (given.json()["input_id"], derive_id(Prefix.input, "nothing"))
        ]
    assert given.status_code == 201
    assert [answer.status_code for answer in answers] == [422, 422]
    assert without_request_id(answers[0]) == without_request_id(answers[1])


async def test_a_refund_goes_to_the_account_of_the_task_whoever_asks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(accounts, "APPLIED_WAIT_S", 0.0)
    world, _ = await opened()
    async with running(world) as client:
        tale = await delivered(world, client)
        admin = await world.key("acct_two", Scope.admin)
        body = {"amount_credits_micro": 1, "reason": "a flaw"}
        path = f"/v1/admin/tasks/{tale.ids['task_id']}/refund"
        answer = await client.post(path, json=body, headers=admin | {"Idempotency-Key": "a"})
    assert answer.status_code == 202
    assert answer.json()["account_id"] == "acct_one"


async def test_a_revoked_or_changed_key_opens_no_other_account():
    world, _ = await opened()
    async with running(world) as client:
        await world.key("acct_one")
        stranger = await world.key("acct_two")
        record = next(reversed(world.keys.records.values()))
        # What a key opens is in its record alone: neither header nor parameter names an account.
        for headers, params in (({"X-Account-Id": "acct_one"}, {}), ({}, {"account_id": "acct_one"})):
            answer = await client.get("/v1/account", headers=stranger | headers, params=params)
            assert answer.status_code == 422 if params else answer.json()["account_id"] == "acct_two"
        world.keys.records[record.key_id] = replace(record, account_id="acct_three")
        world.clock.pass_s(2)
        assert (await client.get("/v1/account", headers=stranger)).json()["account_id"] == "acct_three"
