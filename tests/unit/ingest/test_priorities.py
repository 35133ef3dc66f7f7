"""Priorities of orders: bounded by the account, whatever its keys ask for."""

from __future__ import annotations

from typing import Any

import pytest

from services.ingest.domain.keys import Scope
from tests.unit.ingest.ingest_app import ADMIN_TOKEN, IngestApp, running

BODY: dict[str, Any] = {
    "template": "studio_headshot",
    "mode": "low_cost",
    "k": 2,
    "prompt": "a friendly engineer",
}
KEY = {"Idempotency-Key": "order-1"}
ADMIN = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


@pytest.mark.parametrize(("priority", "status"), [(0, 202), (5, 202), (6, 403), (9, 403), (10, 422)])
async def test_a_key_asks_for_no_more_priority_than_its_account_has(priority: int, status: int):
    world = IngestApp()
    async with running(world) as client:
        answer = await client.post(
            "/v1/tasks", json=BODY | {"priority": priority}, headers=await world.key("acct_one", *Scope) | KEY
        )
    assert answer.status_code == status, answer.text
    if status == 403:
        problem = answer.json()
        assert (problem["code"], problem["pointer"], problem["priority_max"]) == (
            "priority_not_allowed",
            "priority",
            5,
        )
        assert "at most 5" in problem["detail"]


async def test_an_operator_sets_what_an_account_may_ask_for():
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key()
        url = "/v1/admin/accounts/acct_one"
        before = await client.get(url, headers=ADMIN)
        set_ = await client.put(url, json={"priority_max": 9}, headers=ADMIN)
        after = await client.get(url, headers=ADMIN)
        urgent = await client.post("/v1/tasks", json=BODY | {"priority": 9}, headers=headers | KEY)
        theirs = await client.post(
            "/v1/tasks", json=BODY | {"priority": 9}, headers=await world.key("acct_two") | KEY
        )
        refused = await client.put(url, json={"priority_max": 10}, headers=ADMIN)
        customer = await client.put(url, json={"priority_max": 9}, headers=headers)
    assert (before.json()["priority_max"], after.json()["priority_max"]) == (5, 9)
    assert set_.json() == {"account_id": "acct_one", "priority_max": 9}
    assert (urgent.status_code, urgent.json()["priority"]) == (202, 9)
    assert theirs.json().get("code") == "priority_not_allowed"
    assert (refused.status_code, refused.json().get("code")) == (422, "out_of_bounds")
    assert customer.status_code == 403


async def test_an_account_that_may_have_less_gets_less_by_default_and_elsewhere_within_two_seconds():
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key()
        first = await client.post("/v1/tasks", json=BODY, headers=headers | {"Idempotency-Key": "a"})
        await world.settings.set_priority_max("acct_one", 2)
        world.clock.pass_s(2.0)
        second = await client.post("/v1/tasks", json=BODY, headers=headers | {"Idempotency-Key": "b"})
        third = await client.post(
            "/v1/tasks", json=BODY | {"priority": 5}, headers=headers | {"Idempotency-Key": "c"}
        )
    assert (first.json()["priority"], second.json()["priority"]) == (5, 2)
    assert third.json()["priority_max"] == 2


async def test_the_limit_of_an_account_costs_no_look_up_an_order():
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key()
        for number in range(20):
            await client.post("/v1/tasks", json=BODY, headers=headers | {"Idempotency-Key": str(number)})
    assert world.settings.asked_count == 1
