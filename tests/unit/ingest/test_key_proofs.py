"""Proofs of a caller: unknown and mistyped keys, another secret, and routes outside of the scope."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.ingest.domain.keys import Scope, new_key
from tests.unit.ingest.ingest_app import ADMIN_TOKEN, IngestApp, running

ADMIN = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer wk_live_short",
        "Basic abc",
        "Bearer " + new_key(b"x" * 40)[2],
        "Bearer \x7f",
    ],
)
async def test_what_is_no_known_key_is_unauthenticated(header: str | None):
    world = IngestApp()
    async with running(world) as client:
        answer = await client.get("/v1/account", headers={} if header is None else {"Authorization": header})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_key_with_a_typing_error_costs_no_look_up():
    world = IngestApp()
    async with running(world) as client:
        good = (await world.key())["Authorization"]
        bad = good[:-8] + ("0" if good[-8] != "0" else "1") + good[-7:]
        answer = await client.get("/v1/account", headers={"Authorization": bad})
    assert answer.status_code == 401
    assert world.keys.looked_up_count == 0


async def test_the_right_id_with_another_secret_is_refused():
    world = IngestApp()
    async with running(world) as client:
        await world.key()
        key_id = next(iter(world.keys.records))
        from services.ingest.domain import keys

        secret = "A" * 43
        forged = f"wk_live_{key_id}_{secret}{keys._check(key_id, secret)}"
        answer = await client.get("/v1/account", headers={"Authorization": f"Bearer {forged}"})
    assert world.keys.looked_up_count == 1
    assert answer.json()["code"] == "unauthenticated"


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v1/tasks", Scope.tasks_read),
        ("POST", "/v1/tasks", Scope.tasks_write),
        ("POST", "/v1/inputs", Scope.tasks_write),
        ("GET", "/v1/account", Scope.account_read),
        ("GET", "/v1/webhook-endpoints", Scope.webhooks_write),
        ("GET", "/v1/admin/keys", Scope.admin),
    ],
)
async def test_a_route_needs_its_scope(method: str, path: str, scope: Scope):
    world = IngestApp()
    async with running(world) as client:
        others = await world.key("acct_one", *(set(Scope) - {scope}))
        answer = await client.request(method, path, headers=others)
    assert answer.status_code == 403, answer.text
    assert (answer.json()["code"], answer.json()["scope"]) == ("scope_missing", scope)


async def test_the_bootstrap_administrator_has_no_tasks():
    world = IngestApp()
    async with running(world) as client:
        answer = await client.get("/v1/tasks", headers=ADMIN)
    assert answer.json()["code"] == "scope_missing"
