"""Placing orders, edge to edge: routes, use cases, journal and read model in memory."""

from __future__ import annotations

import pytest

from tests.support.fakes.memory_journal import MemoryJournalStore
from tests.unit.ingest.builders import BODY
from tests.unit.ingest.fakes import CREDIT
from tests.unit.ingest.ingest_app import IngestApp, running

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
