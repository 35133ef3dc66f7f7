"""Refunds at the door: bounded by the charge, and answered as the ledger decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from services.ingest.app import accounts
from tests.unit.ingest.builders import BODY
from tests.unit.ingest.events import Tale
from tests.unit.ingest.fakes import CREDIT
from tests.unit.ingest.ingest_app import ADMIN_TOKEN, IngestApp, running

ADMIN = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


@asynccontextmanager
async def charged(
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[tuple[IngestApp, httpx.AsyncClient, Tale]]:
    """Run ingest with a task that was delivered and charged for 2 credits; nobody waits for the ledger."""
    monkeypatch.setattr(accounts, "APPLIED_WAIT_S", 0.0)
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key()
        made = await client.post("/v1/tasks", json=BODY, headers=headers | {"Idempotency-Key": "order-1"})
        await world.settle()
        tale = Tale(made.json()["id"])
        for number, (producer, event) in enumerate(tale.whole()):
            world.say(event, producer, number + 1)
        await world.settle()
        yield world, client, tale


async def refund(client: httpx.AsyncClient, tale: Tale, key: str, amount: int) -> httpx.Response:
    return await client.post(
        f"/v1/admin/tasks/{tale.ids['task_id']}/refund",
        json={"amount_credits_micro": amount, "reason": "goodwill"},
        headers=ADMIN | {"Idempotency-Key": key},
    )


async def test_a_refund_is_bounded_by_the_charge_and_ordered_once(monkeypatch: pytest.MonkeyPatch):
    async with charged(monkeypatch) as (world, client, tale):
        much = await refund(client, tale, "refund-1", 3 * CREDIT)
        first = await refund(client, tale, "refund-1", 2 * CREDIT)
        other = await refund(client, tale, "refund-1", 1 * CREDIT)
        world.say(tale.refunded(first.json()["refund_id"], 2 * CREDIT), "ledger", 1)
        await world.settle()
        again = await refund(client, tale, "refund-1", 2 * CREDIT)
        more = await refund(client, tale, "refund-2", 1)
        (command,) = world.published("RefundCredits")
        tale.ids["task_id"] = tale.output
        unknown = await refund(client, tale, "refund-1", 2 * CREDIT)
    assert (much.status_code, much.json()["code"]) == (422, "amount_not_allowed")
    assert much.json()["refundable_credits_micro"] == 2 * CREDIT
    assert (first.status_code, first.json()["status"]) == (202, "pending")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert again.json() | {"status": "pending", "decided_at": None} == first.json()
    assert again.json()["status"] == "refunded"
    assert more.json()["code"] == "amount_not_allowed"
    assert unknown.status_code == 404
    assert (command["account_id"], command["reservation_id"]) == ("acct_one", tale.reservation_id)


async def test_a_refund_is_ordered_or_says_that_the_ledger_is_away(monkeypatch: pytest.MonkeyPatch):
    async with charged(monkeypatch) as (world, client, tale):
        first = await refund(client, tale, "refund-1", CREDIT)
        world.ledger.down = True
        again = await refund(client, tale, "refund-1", CREDIT)
        more = await refund(client, tale, "refund-2", CREDIT)
        path = f"/v1/admin/tasks/{tale.ids['task_id']}/refunds/{first.json()['refund_id']}"
        status = await client.get(path, headers=ADMIN)
        bill = await client.get(f"/v1/tasks/{tale.ids['task_id']}/bill", headers=await world.key())
        assert len(world.published("RefundCredits")) == 1
    assert again.json() == first.json()
    assert {answer.status_code for answer in (more, status, bill)} == {503}
    assert all(answer.headers["Retry-After"] for answer in (more, status, bill))


async def test_refunds_that_cross_both_show_what_the_ledger_decided(monkeypatch: pytest.MonkeyPatch):
    async with charged(monkeypatch) as (world, client, tale):
        answers = [await refund(client, tale, f"refund-{index}", 2 * CREDIT) for index in range(2)]
        ids = [answer.json()["refund_id"] for answer in answers]
        world.say(tale.refunded(ids[1], 2 * CREDIT), "ledger", 1)
        world.say(tale.refund_refused(ids[0], 2 * CREDIT), "ledger", 2)
        await world.settle()
        path = f"/v1/admin/tasks/{tale.ids['task_id']}/refunds"
        shown = [(await client.get(f"{path}/{id_}", headers=ADMIN)).json() for id_ in ids]
        repeated = await refund(client, tale, "refund-0", 2 * CREDIT)
        elsewhere = await client.get(f"/v1/admin/tasks/{tale.output}/refunds/{ids[0]}", headers=ADMIN)
        unknown = await client.get(f"{path}/{tale.output}", headers=ADMIN)
        stranger = await client.get(f"{path}/{ids[0]}", headers=await world.key())
    assert [answer.json()["status"] for answer in answers] == ["pending", "pending"]
    assert [(answer["status"], answer["code"], answer["reason"]) for answer in shown] == [
        ("refused", "amount_not_allowed", "more than is left of the charge"),
        ("refunded", None, None),
    ]
    assert all(answer["decided_at"] for answer in shown)
    assert (repeated.status_code, repeated.json()) == (202, shown[0])
    assert (elsewhere.status_code, unknown.status_code, stranger.status_code) == (404, 404, 403)


async def test_a_refund_waits_for_the_ledger(monkeypatch: pytest.MonkeyPatch):
    async with charged(monkeypatch) as (world, client, tale):
        monkeypatch.setattr(accounts, "APPLIED_WAIT_S", 60.0)
        waiting = asyncio.create_task(refund(client, tale, "refund-1", CREDIT))
        while not world.published("RefundCredits"):
            await asyncio.sleep(0)
        (command,) = world.published("RefundCredits")
        world.say(tale.refund_refused(command["command_id"], CREDIT), "ledger", 1)
        await world.settle()
        answer = await waiting
    assert (answer.status_code, answer.json()["status"]) == (202, "refused")
