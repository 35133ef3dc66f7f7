"""API keys: made, read back, expired and revoked."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.keys import KeyRecord, Scope, authenticate, new_key, parse_key
from tests.unit.ingest.ingest_app import ADMIN_TOKEN, IngestApp, running
from winnow.contracts.errors import ErrorCode, Refused

ADMIN = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def test_a_key_is_made_by_the_administrator_works_and_is_never_shown_again():
    world = IngestApp()
    async with running(world) as client:
        body = {"account_id": "acct_one", "scopes": ["account:read"], "label": "mine"}
        made = await client.post("/v1/admin/keys", json=body, headers=ADMIN)
        text = made.json()["key"]
        account = await client.get("/v1/account", headers={"Authorization": f"Bearer {text}"})
        listed = await client.get("/v1/admin/keys?account_id=acct_one", headers=ADMIN)
    assert made.status_code == 201
    assert text.startswith(f"wk_live_{made.json()['key_id']}_")
    assert account.json()["available_credits_micro"] == 1_000_000_000
    assert [key["label"] for key in listed.json()["keys"]] == ["mine"]
    secret = text.split("_")[-1]
    assert secret not in listed.text
    assert secret not in str(world.keys.records)


async def test_a_revoked_key_is_refused_at_once_here_and_within_two_seconds_elsewhere():
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key()
        key_id = next(iter(world.keys.records))
        assert (await client.get("/v1/account", headers=headers)).status_code == 200
        revoked = await client.delete(f"/v1/admin/keys/{key_id}", headers=ADMIN)
        here = await client.get("/v1/account", headers=headers)
        unknown = await client.delete("/v1/admin/keys/nothing", headers=ADMIN)
        other = await world.key("acct_two")
        await client.get("/v1/account", headers=other)
        await world.keys.revoke(next(reversed(world.keys.records)), datetime(2026, 1, 1, tzinfo=UTC))
        believed = await client.get("/v1/account", headers=other)
        world.clock.pass_s(2.0)
        found_out = await client.get("/v1/account", headers=other)
    assert revoked.status_code == 204
    assert (here.status_code, here.json()["code"]) == (401, "key_revoked")
    assert unknown.status_code == 404
    assert (believed.status_code, found_out.status_code) == (200, 401)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"revoked_at": NOW}, ErrorCode.key_revoked),
        ({"expires_at": NOW}, ErrorCode.key_revoked),
        ({"expires_at": NOW + timedelta(microseconds=1)}, None),
        ({"digest": "another"}, ErrorCode.unauthenticated),
    ],
    ids=["good", "revoked", "ends now", "ends in a moment", "another secret"],
)
def test_a_record_proves_a_caller_only_while_it_holds(changes: dict, reason: ErrorCode | None):
    scopes = frozenset({Scope.tasks_read})
    record = replace(KeyRecord("id", "digest", "acct_one", scopes, "test", created_at=NOW), **changes)
    refused = None
    try:
        caller = authenticate(record, "digest", NOW)
        assert (caller.account_id, caller.scopes) == ("acct_one", scopes)
    except Refused as error:
        refused = error.code
    assert refused is reason


async def test_a_key_ends_when_it_expires():
    world = IngestApp()
    async with running(world) as client:
        body = {"account_id": "acct_one", "scopes": ["account:read"], "expires_at": "2026-01-01T00:01:00Z"}
        made = await client.post("/v1/admin/keys", json=body, headers=ADMIN)
        headers = {"Authorization": f"Bearer {made.json()['key']}"}
        before = await client.get("/v1/account", headers=headers)
        world.clock.pass_s(60)
        after = await client.get("/v1/account", headers=headers)
    assert (before.status_code, after.status_code, after.json()["code"]) == (200, 401, "key_revoked")


@given(st.binary(min_size=40, max_size=40))
def test_a_new_key_reads_back_and_no_changed_letter_does(randomness: bytes):
    key_id, secret, text = new_key(randomness)
    assert parse_key(text) == (key_id, secret)
    place = 8 + randomness[0] % (len(text) - 8)
    changed = text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :]
    assert parse_key(changed) is None
