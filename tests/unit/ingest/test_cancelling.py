"""Cancels of a task: before and after funding, unanswered, and repeated."""

from __future__ import annotations

import asyncio

import pytest

from services.ingest.app import orders
from tests.unit.ingest.builders import place
from tests.unit.ingest.events import Tale
from tests.unit.ingest.ingest_app import IngestApp, running
from winnow.contracts.events import TaskCancelled


async def cancelling(world: IngestApp, client, tale: Tale, headers: dict, *after: tuple) -> dict:
    """Cancel while the record goes on; ``after`` is what other services say once the request stands in it."""
    waiting = asyncio.create_task(client.post(f"/v1/tasks/{tale.ids['task_id']}/cancel", headers=headers))
    while not world.published("task.cancel_requested"):
        await asyncio.sleep(0)
    await world.settle()
    for number, (producer, event) in enumerate(after):
        world.say(event, producer, number + 50)
    await world.settle()
    answer = await waiting
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_cancel_before_funding_is_ingests_and_releases_the_reservation():
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key()
        tale = await place(world, client, headers)
        told = await cancelling(
            world, client, tale, headers, ("ledger", tale.funded()), ("ledger", tale.settled())
        )
    (cancelled,) = world.published("task.cancelled")
    (release,) = world.published("ReleaseCredits")
    assert cancelled["stage"] == "ingest"
    assert release["reservation_id"] == tale.reservation_id
    assert (told["state"], told["complete"], told["released_credits_micro"]) == ("cancelled", True, 2_000_000)
    assert world.views.views[tale.ids["task_id"]].out_of_order_count == 0


async def test_a_cancel_that_the_ledgers_refusal_overtakes_still_ends_once():
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key()
        tale = await place(world, client, headers)
        await cancelling(
            world, client, tale, headers, ("ledger", tale.unfunded()), ("ledger", tale.settled())
        )
    assert len(world.published("task.cancelled")) == 1
    assert world.published("task.rejected") == []


async def test_a_cancel_after_funding_is_left_to_the_router():
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key()
        tale = await place(world, client, headers)
        world.say(tale.funded(), "ledger", 1)
        await world.settle()
        ended = TaskCancelled(**tale.ids, stage="router", released_credits_micro=4)
        told = await cancelling(world, client, tale, headers, ("router", ended), ("ledger", tale.settled()))
    assert world.published("task.cancelled") == []
    assert told["state"] == "cancelled"


async def test_the_bill_of_a_task_cancelled_at_once_counts_nothing_that_was_only_planned_as_made():
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key()
        tale = await place(world, client, headers)
        world.say(tale.funded(), "ledger", 1)
        world.say(tale.planned(), "router", 1)
        world.say(tale.submitted(), "router", 2)
        await world.settle()
        path = f"/v1/tasks/{tale.ids['task_id']}/bill"
        running_bill = (await client.get(path, headers=headers)).json()
        world.say(TaskCancelled(**tale.ids, stage="router", released_credits_micro=4), "router", 3)
        world.say(tale.settled(), "ledger", 2)
        await world.settle()
        final_bill = (await client.get(path, headers=headers)).json()
    assert "0 candidates were made, 0 passed, 0 were delivered." in running_bill["explanation"]
    assert not any("planned" in line for line in running_bill["explanation"])
    assert final_bill["is_final"]
    assert "0 candidates were made, 0 passed, 1 were delivered." in final_bill["explanation"]
    assert "2 more were planned, and no picture of them came." in final_bill["explanation"]


async def test_a_cancel_that_nobody_answers_in_time_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(orders, "CANCEL_WAIT_S", 0.05)
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key()
        tale = await place(world, client, headers)
        world.say(tale.funded(), "ledger", 1)
        await world.settle()
        told = await cancelling(world, client, tale, headers)
    assert (told["state"], told["complete"], told["released_credits_micro"]) == ("funded", False, None)


async def test_a_second_cancel_and_one_after_the_end_are_conflicts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(orders, "CANCEL_WAIT_S", 0.05)
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key()
        tale = await place(world, client, headers)
        world.say(tale.funded(), "ledger", 1)
        await world.settle()
        path = f"/v1/tasks/{tale.ids['task_id']}/cancel"
        first = await client.post(path, headers=headers)
        at_once = await client.post(path, headers=headers)
        await world.settle()
        later = await client.post(path, headers=headers)
        world.say(TaskCancelled(**tale.ids, stage="router", released_credits_micro=4), "router", 1)
        world.say(tale.settled(), "ledger", 2)
        await world.settle()
        ended = await client.post(path, headers=headers)
        unknown = await client.post(f"/v1/tasks/{tale.ids['task_id'][:-1]}0/cancel", headers=headers)
    assert first.status_code == 200
    assert [answer.json()["code"] for answer in (at_once, later)] == ["cancel_already_requested"] * 2
    assert (ended.status_code, ended.json()["code"]) == (409, "already_ended")
    assert unknown.status_code in {404, 409}
    assert len(world.published("task.cancel_requested")) == 1
