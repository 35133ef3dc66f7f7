"""Times in requests: RFC 3339 alone, in any offset, and none that has passed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.ingest.builders import ADMIN, KEY
from tests.unit.ingest.ingest_app import IngestApp, running

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "expires_at",
    [0, 1, -1, 1e12, "0", "1800000000", "2027-01-01", "2027-01-01T00:00:00", "2027-13-01T00:00:00Z", True],
)
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/admin/keys", {"account_id": "acct_one", "scopes": ["account:read"]}),
        ("/v1/admin/accounts/acct_one/grants", {"amount_credits_micro": 1, "source": "topup"}),
    ],
)
async def test_a_time_is_text_of_rfc_3339_and_nothing_else(path: str, body: dict[str, Any], expires_at: Any):
    world = IngestApp()
    async with running(world) as client:
        answer = await client.post(path, json=body | {"expires_at": expires_at}, headers=ADMIN | KEY)
    assert (answer.status_code, answer.json().get("pointer")) == (422, "expires_at")
    assert world.keys.records == {}
    assert world.bus.messages == []


@pytest.mark.parametrize("expires_at", ["1970-01-01T00:00:00Z", "2026-01-01T00:00:00Z"])
async def test_nothing_is_made_that_has_expired_already(expires_at: str):
    world = IngestApp()
    async with running(world) as client:
        body = {"account_id": "acct_one", "scopes": ["account:read"], "expires_at": expires_at}
        key = await client.post("/v1/admin/keys", json=body, headers=ADMIN)
        grant = await client.post(
            "/v1/admin/accounts/acct_one/grants",
            json={"amount_credits_micro": 1, "source": "topup", "expires_at": expires_at},
            headers=ADMIN | KEY,
        )
        await world.settle()
    for answer in (key, grant):
        assert (answer.status_code, answer.json().get("code")) == (422, "out_of_bounds")
        assert answer.json().get("pointer") == "expires_at"
    assert world.keys.records == {}
    assert world.bus.messages == []


async def test_a_time_of_any_offset_is_read_and_written_as_utc():
    world = IngestApp()
    async with running(world) as client:
        body = {
            "account_id": "acct_one",
            "scopes": ["account:read"],
            "expires_at": "2027-01-01T02:00:00+02:00",
        }
        made = await client.post("/v1/admin/keys", json=body, headers=ADMIN)
    assert made.json()["expires_at"] == "2027-01-01T00:00:00Z"


async def test_a_grant_is_answered_again_after_it_has_expired(monkeypatch: pytest.MonkeyPatch):
    from services.ingest.app import accounts

    monkeypatch.setattr(accounts, "APPLIED_WAIT_S", 0.0)
    world = IngestApp()
    async with running(world) as client:
        body = {"amount_credits_micro": 1, "source": "topup", "expires_at": "2026-01-01T00:01:00Z"}
        path = "/v1/admin/accounts/acct_one/grants"
        first = await client.post(path, json=body, headers=ADMIN | KEY)
        world.clock.pass_s(61)
        again = await client.post(path, json=body, headers=ADMIN | KEY)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()


@pytest.mark.parametrize("life_s", [901, 604_800])
async def test_links_live_no_longer_than_the_document_says(life_s: int):
    world = IngestApp()
    async with running(world) as client:
        answer = await client.get(
            f"/v1/tasks/task_x/outputs?expires_in_s={life_s}", headers=await world.key()
        )
    assert (answer.status_code, answer.json().get("code")) == (422, "out_of_bounds")
