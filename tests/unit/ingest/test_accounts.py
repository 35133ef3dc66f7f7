"""Grants, quotes and webhook endpoints of an account."""

from __future__ import annotations

import asyncio

import pytest

from services.ingest.app import accounts
from services.ingest.domain.keys import Scope
from tests.unit.ingest.events import Tale
from tests.unit.ingest.fakes import CREDIT
from tests.unit.ingest.ingest_app import ADMIN_TOKEN, IngestApp, running
from winnow.contracts.errors import ErrorCode, Refused
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.values import EntryKind

ADMIN = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
GRANT = {"amount_credits_micro": 5 * CREDIT, "source": "topup"}


async def test_a_grant_is_a_command_once_and_waits_for_the_books():
    world = IngestApp()
    async with running(world) as client:
        headers = ADMIN | {"Idempotency-Key": "grant-1"}
        waiting = asyncio.create_task(
            client.post("/v1/admin/accounts/acct_one/grants", json=GRANT, headers=headers)
        )
        while not world.published("GrantCredits"):
            await asyncio.sleep(0)
        (command,) = world.published("GrantCredits")
        tale = Tale(derive_id(Prefix.task, "none"))
        world.say(tale.entry(EntryKind.grant, 5 * CREDIT, command["grant_id"]), "ledger", 1)
        await world.settle()
        first = await waiting
        again = await client.post("/v1/admin/accounts/acct_one/grants", json=GRANT, headers=headers)
        other = await client.post(
            "/v1/admin/accounts/acct_one/grants", json=GRANT | {"amount_credits_micro": 1}, headers=headers
        )
        entries = await client.get("/v1/account/entries", headers=await world.key())
    assert first.status_code == 202
    assert first.json() == again.json()
    assert first.json()["applied"] is True
    assert (command["amount_credits_micro"], command["account_id"]) == (5 * CREDIT, "acct_one")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert len(world.published("GrantCredits")) == 1
    assert [entry["kind"] for entry in entries.json()["entries"]] == ["grant"]


async def test_a_grant_that_the_ledger_has_not_booked_yet_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(accounts, "APPLIED_WAIT_S", 0.05)
    world = IngestApp()
    async with running(world) as client:
        headers = ADMIN | {"Idempotency-Key": "grant-1"}
        answer = await client.post("/v1/admin/accounts/acct_one/grants", json=GRANT, headers=headers)
    assert answer.json()["applied"] is False


async def test_a_grant_is_taken_while_the_ledger_is_away(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(accounts, "APPLIED_WAIT_S", 0.05)
    world = IngestApp()
    world.ledger.down = True
    async with running(world) as client:
        headers = ADMIN | {"Idempotency-Key": "grant-1"}
        answer = await client.post("/v1/admin/accounts/acct_one/grants", json=GRANT, headers=headers)
    assert (answer.status_code, answer.json()["applied"]) == (202, False)
    assert len(world.published("GrantCredits")) == 1


async def test_entries_are_the_ledgers_page_by_page():
    world = IngestApp()
    tale = Tale(derive_id(Prefix.task, "none"))
    for number in range(3):
        world.say(tale.entry(EntryKind.grant, number + 1, f"grt_{number}"), "ledger", number + 1)
    async with running(world) as client:
        headers = await world.key()
        first = (await client.get("/v1/account/entries?limit=2", headers=headers)).json()
        path = f"/v1/account/entries?limit=2&cursor={first['next_cursor']}"
        rest = (await client.get(path, headers=headers)).json()
        stranger = await client.get(path, headers=await world.key("acct_two"))
        world.ledger.down = True
        away = await client.get("/v1/account/entries", headers=headers)
    assert [entry["amount_credits_micro"] for entry in first["entries"] + rest["entries"]] == [3, 2, 1]
    assert rest["next_cursor"] is None
    assert (stranger.status_code, stranger.json()) == (200, {"entries": [], "next_cursor": None})
    assert (away.status_code, away.json()["code"]) == (503, "unavailable")
    assert away.headers["Retry-After"]


@pytest.mark.parametrize(
    "change", [{"amount_credits_micro": 0}, {"amount_credits_micro": 1.0}, {"source": "gift"}]
)
async def test_a_grant_is_checked(change: dict):
    world = IngestApp()
    async with running(world) as client:
        headers = ADMIN | {"Idempotency-Key": "grant-1"}
        answer = await client.post("/v1/admin/accounts/acct_one/grants", json=GRANT | change, headers=headers)
        wild = await client.post("/v1/admin/accounts/someone/grants", json=GRANT, headers=headers)
        bare = await client.post("/v1/admin/accounts/acct_one/grants", json=GRANT, headers=ADMIN)
    assert answer.status_code == wild.status_code == 422
    assert bare.json()["code"] == "idempotency_key_missing"
    assert world.bus.messages == []


async def test_a_quote_prices_an_order_and_is_asked_for_once_in_a_while():
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key("acct_one", Scope.tasks_read, Scope.operator)
        body = {"template": "product_shot", "mode": "stable", "k": 4}
        quote = await client.post("/v1/quotes", json=body, headers=headers)
        unknown = await client.post("/v1/quotes", json=body | {"template": "x"}, headers=headers)
        extra = await client.post("/v1/quotes", json=body | {"x": 1}, headers=headers)
        templates = await client.get("/v1/templates", headers=headers)
    assert quote.json()["reserve_credits_micro"] == 8 * CREDIT
    assert quote.json()["cheapest_cost_usd_micro"] == 40_000
    assert [answer.json()["code"] for answer in (unknown, extra)] == ["unknown_template", "unknown_field"]
    assert {template["name"]: template["wording"] for template in templates.json()["templates"]} == {
        "ad_creative": True,
        "background_removal": False,
        "product_shot": True,
        "studio_headshot": False,
    }


async def test_webhook_endpoints_are_registered_listed_and_deleted_by_their_account():
    world = IngestApp()
    async with running(world) as client:
        headers, stranger = await world.key(), await world.key("acct_two")
        body = {"url": "https://example.com/hook", "event_types": ["task.delivered"]}
        made = await client.post("/v1/webhook-endpoints", json=body, headers=headers)
        wrong = await client.post(
            "/v1/webhook-endpoints", json=body | {"event_types": ["x"]}, headers=headers
        )
        listed = await client.get("/v1/webhook-endpoints", headers=headers)
        path = f"/v1/webhook-endpoints/{made.json()['endpoint_id']}"
        theirs = await client.delete(path, headers=stranger)
        gone = await client.delete(path, headers=headers)
        none = await client.post("/v1/webhook-deliveries/dlv_x/redeliver", headers=headers)
        world.delivery.refusal = Refused(ErrorCode.url_not_allowed, "A private address.")
        private = await client.post(
            "/v1/webhook-endpoints", json={"url": "https://10.0.0.1/"}, headers=headers
        )
    assert made.status_code == 201
    assert made.json()["secret"] == "whsec_test"
    assert "secret" not in listed.text
    assert wrong.json()["pointer"] == "event_types/0"
    assert (theirs.status_code, gone.status_code, none.status_code) == (404, 204, 404)
    assert (private.status_code, private.json()["code"]) == (422, "url_not_allowed")
