"""Ends before funding: refused credits, and a ledger that never answers."""

from __future__ import annotations

import asyncio

from tests.unit.ingest.builders import BODY, place
from tests.unit.ingest.events import Tale
from tests.unit.ingest.ingest_app import IngestApp, running


async def test_an_unfunded_task_is_rejected_with_its_shortfall():
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key()
        tale = await place(world, client, headers)
        world.say(tale.unfunded(), "ledger", 1)
        await world.settle()
        task = (await client.get(f"/v1/tasks/{tale.ids['task_id']}", headers=headers)).json()
    assert (task["state"], task["complete"]) == ("rejected", True)
    assert task["end"]["code"] == "insufficient_credits"
    assert task["end"]["shortfall_credits_micro"] == 7
    assert world.published("ReleaseCredits") == []


async def test_a_task_that_the_ledger_never_answers_ends_at_its_deadline_through_the_record():
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key()
        tale = await place(world, client, headers)
        world.clock.pass_s(901)
        world.funding._writer._wake.set()
        while not world.published("task.cancel_requested"):
            await asyncio.sleep(0)
        await world.settle()
        task = (await client.get(f"/v1/tasks/{tale.ids['task_id']}", headers=headers)).json()
    assert task["state"] == "cancelled"
    assert len(world.published("ReleaseCredits")) == 1


async def test_stages_wait_for_an_acceptance_that_comes_late():
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key()
        answer = await client.post("/v1/tasks", json=BODY, headers=headers | {"Idempotency-Key": "order-1"})
        tale = Tale(answer.json()["id"])
        world.say(tale.unfunded(), "ledger", 1)
        await world.settle()
    assert len(world.published("task.rejected")) == 1
    view = world.views.views[tale.ids["task_id"]]
    assert (view.state, view.out_of_order_count) == ("rejected", 0)
