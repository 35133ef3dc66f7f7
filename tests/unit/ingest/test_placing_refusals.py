"""Orders that are refused, and what the refusal names."""

from __future__ import annotations

import pytest

from services.ingest.domain.keys import Scope
from tests.unit.ingest.builders import BODY
from tests.unit.ingest.fakes import CREDIT
from tests.unit.ingest.ingest_app import IngestApp, running

KEY = {"Idempotency-Key": "order-1"}


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
