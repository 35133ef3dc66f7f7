"""Placing orders, edge to edge: routes, use cases, journal and read model in memory."""

from __future__ import annotations

import pytest

from services.ingest.domain.keys import Scope
from tests.support.memory_journal import MemoryJournalStore
from tests.unit.ingest.fakes import CREDIT
from tests.unit.ingest.ingest_app import IngestApp, running

BODY = {"template": "studio_headshot", "mode": "low_cost", "k": 2, "prompt": "a friendly engineer"}
KEY = {"Idempotency-Key": "order-1"}


async def test_place_records_the_order_and_reserves_its_price():
    world = IngestApp()
    async with running(world) as client:
        answer = await client.post("/v1/tasks", json=BODY, headers=await world.key() | KEY)
        await world.settle()
    assert answer.status_code == 202
    task = answer.json()
    assert answer.headers["location"] == f"/v1/tasks/{task['id']}"
    assert "idempotent-replayed" not in answer.headers
    assert (task["state"], task["k"], task["reserve_credits_micro"]) == ("accepted", 2, 4 * CREDIT)
    (accepted,) = world.published("task.accepted")
    (reserve,) = world.published("ReserveCredits")
    assert accepted["task_id"] == reserve["task_id"] == task["id"]
    assert reserve["amount_credits_micro"] == accepted["reserve_credits_micro"] == 4 * CREDIT
    assert reserve["expires_at"] > accepted["deadline_at"]
    assert accepted["cost_cap_usd_micro"] == 120_000
    assert accepted["deadline_slack_s"] == 120


async def test_place_keeps_the_prompt_out_of_the_record_and_in_the_private_bucket():
    world = IngestApp()
    async with running(world) as client:
        await client.post("/v1/tasks", json=BODY, headers=await world.key() | KEY)
        await world.settle()
    assert all(b"friendly" not in body for *_, body in world.bus.messages)
    ((key, body),) = world.files.objects.items()
    (accepted,) = world.published("task.accepted")
    assert accepted["request"]["key"] == key
    assert key.startswith(f"inputs/acct_one/{accepted['task_id']}/request-")
    assert b"a friendly engineer" in body


async def test_place_answers_a_repeat_with_the_first_answer():
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key() | KEY
        first = await client.post("/v1/tasks", json=BODY, headers=headers)
        world.clock.pass_s(60)
        await world.settle()
        second = await client.post("/v1/tasks", json=BODY, headers=headers)
        await world.settle()
    assert second.status_code == 202
    assert second.headers["idempotent-replayed"] == "true"
    assert second.content == first.content
    assert len(world.published("task.accepted")) == len(world.published("ReserveCredits")) == 1


async def test_place_answers_a_repeat_although_the_credits_are_gone_now():
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key() | KEY
        first = await client.post("/v1/tasks", json=BODY, headers=headers)
        world.ledger.available["acct_one"] = 0
        world.clock.pass_s(10)
        second = await client.post("/v1/tasks", json=BODY, headers=headers)
        world.ledger.down = True
        world.clock.pass_s(10)
        third = await client.post("/v1/tasks", json=BODY, headers=headers)
    assert first.content == second.content == third.content


@pytest.mark.parametrize("evicted", [False, True])
async def test_place_refuses_another_body_under_the_same_key(evicted: bool):
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key() | KEY
        await client.post("/v1/tasks", json=BODY, headers=headers)
        if evicted:
            await world.settle()
        before = dict(world.files.objects)
        other = await client.post("/v1/tasks", json=BODY | {"prompt": "someone else"}, headers=headers)
        poor = await client.post("/v1/tasks", json=BODY | {"cost_cap_usd_micro": 1}, headers=headers)
    for answer in (other, poor):
        assert answer.status_code == 409
        assert answer.json()["code"] == "idempotency_key_reused"
    assert before.items() <= world.files.objects.items()


async def test_two_instances_that_take_the_same_request_make_one_task():
    shared = MemoryJournalStore(everywhere=True)
    first_world, second_world = IngestApp(shared, "http-0"), IngestApp(shared, "http-1")
    second_world.keys = first_world.keys
    second_world.cases = second_world._build()
    async with running(first_world) as first, running(second_world) as second:
        headers = await first_world.key() | KEY
        made = await first.post("/v1/tasks", json=BODY, headers=headers)
        again = await second.post("/v1/tasks", json=BODY, headers=headers)
        await first_world.settle()
        await second_world.settle()
        clash = await second.post("/v1/tasks", json=BODY | {"k": 3}, headers=headers)
    assert made.content == again.content
    assert again.headers["idempotent-replayed"] == "true"
    assert clash.status_code == 409
    assert len(first_world.published("task.accepted")) == 1
    assert second_world.published("task.accepted") == []


async def test_place_gives_two_accounts_two_tasks_for_the_same_key():
    world = IngestApp()
    async with running(world) as client:
        first = await client.post("/v1/tasks", json=BODY, headers=await world.key("acct_one") | KEY)
        second = await client.post("/v1/tasks", json=BODY, headers=await world.key("acct_two") | KEY)
    assert first.json()["id"] != second.json()["id"]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"template": "nothing"}, 422, "unknown_template"),
        ({"mode": "slow"}, 422, "unknown_mode"),
        ({"profile": "nothing"}, 422, "unknown_profile"),
        ({"k": 0}, 422, "out_of_bounds"),
        ({"k": 61}, 422, "out_of_bounds"),
        ({"k": "6"}, 422, "invalid_request"),
        ({"k": 2.0}, 422, "invalid_request"),
        ({"k": None}, 422, "invalid_request"),
        ({"width": 100}, 422, "out_of_bounds"),
        ({"height": 1001}, 422, "out_of_bounds"),
        ({"deadline_s": 1}, 422, "out_of_bounds"),
        ({"priority": 10}, 422, "out_of_bounds"),
        ({"label": "x" * 121}, 422, "out_of_bounds"),
        ({"prompt": "x" * 2001}, 422, "prompt_too_long"),
        ({"negative_prompt": "x" * 2001}, 422, "prompt_too_long"),
        ({"prompt": "  "}, 422, "invalid_request"),
        ({"prompt": "a Deepfake, nude"}, 422, "prompt_refused"),
        ({"cost_cap_usd_micro": 19_999}, 422, "cost_cap_too_low"),
        ({"cost_cap_usd_micro": -1}, 422, "out_of_bounds"),
        ({"inputs": ["inp_unknown"]}, 422, "invalid_request"),
        ({"inputs": ["x"] * 9}, 422, "out_of_bounds"),
        ({"colour": "red"}, 422, "unknown_field"),
    ],
)
async def test_place_refuses_what_cannot_be_ordered(change: dict, status: int, code: str):
    world = IngestApp()
    async with running(world) as client:
        answer = await client.post("/v1/tasks", json=BODY | change, headers=await world.key() | KEY)
        await world.settle()
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["pointer"].startswith(next(iter(change)))
    assert world.bus.messages == []


async def test_place_names_the_least_cap_and_the_missing_credits():
    world = IngestApp()
    world.ledger.available["acct_one"] = 3 * CREDIT
    async with running(world) as client:
        headers = await world.key("acct_one", Scope.tasks_write, Scope.operator) | KEY
        low = await client.post("/v1/tasks", json=BODY | {"cost_cap_usd_micro": 5}, headers=headers)
        hidden = await client.post(
            "/v1/tasks",
            json=BODY | {"cost_cap_usd_micro": 5},
            headers=await world.key("acct_one", Scope.tasks_write) | KEY,
        )
        poor = await client.post("/v1/tasks", json=BODY, headers=headers)
        enough = await client.post(
            "/v1/tasks", json=BODY | {"cost_cap_usd_micro": 20_000, "k": 1}, headers=headers
        )
    assert low.json()["minimum_usd_micro"] == 20_000
    assert (hidden.status_code, hidden.json()["code"]) == (422, "cost_cap_too_low")
    assert "minimum_usd_micro" not in hidden.json()
    assert "0.02" not in hidden.text
    assert (poor.status_code, poor.json()["code"]) == (402, "insufficient_credits")
    assert poor.json()["shortfall_credits_micro"] == 1 * CREDIT
    assert enough.status_code == 202


async def test_place_counts_what_young_orders_took_before_it_trusts_a_young_balance():
    world = IngestApp()
    world.ledger.available["acct_one"] = 5 * CREDIT
    async with running(world) as client:
        headers = await world.key()
        first = await client.post("/v1/tasks", json=BODY, headers=headers | {"Idempotency-Key": "a"})
        world.ledger.available["acct_one"] = 1 * CREDIT
        second = await client.post("/v1/tasks", json=BODY, headers=headers | {"Idempotency-Key": "b"})
    assert (first.status_code, second.status_code) == (202, 402)


async def test_place_says_unavailable_while_the_ledger_is_away():
    world = IngestApp()
    world.ledger.down = True
    async with running(world) as client:
        answer = await client.post("/v1/tasks", json=BODY, headers=await world.key() | KEY)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "idempotency_key_missing"),
        ({"Idempotency-Key": ""}, "idempotency_key_missing"),
        ({"Idempotency-Key": "x" * 201}, "invalid_request"),
        ({"Idempotency-Key": "two words"}, "invalid_request"),
    ],
)
async def test_place_needs_a_usable_idempotency_key(headers: dict, code: str):
    world = IngestApp()
    async with running(world) as client:
        answer = await client.post("/v1/tasks", json=BODY, headers=await world.key() | headers)
    assert answer.json()["code"] == code


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b'{"k": 1e999}', b'{"k": NaN}', b"[" * 50_000, b'"\\ud800"']
)
async def test_place_refuses_a_body_that_is_no_order(content: bytes):
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key() | KEY | {"Content-Type": "application/json"}
        answer = await client.post("/v1/tasks", content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_the_task_can_be_read_before_the_read_model_has_it():
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key()
        made = await client.post("/v1/tasks", json=BODY, headers=headers | KEY)
        path = f"/v1/tasks/{made.json()['id']}"
        assert world.views.views == {}
        at_once = await client.get(path, headers=headers)
        hidden = await client.get(path, headers=await world.key("acct_two"))
    assert at_once.json() == made.json()
    assert (hidden.status_code, hidden.json().get("code")) == (404, "not_found")
