"""The same order is the same order, however much of its defaults is written out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.orders import CostQuote, OrderForm, fingerprint_of
from services.ingest.domain.sameness import is_same_order, without_defaults
from services.ingest.store.catalogue import load
from tests.unit.ingest.ingest_app import ADMIN_TOKEN, IngestApp, running
from winnow.contracts.events import TaskAccepted

BODY: dict[str, Any] = {
    "template": "studio_headshot",
    "mode": "low_cost",
    "k": 2,
    "prompt": "a friendly engineer",
}
DEFAULTS: dict[str, Any] = {
    "negative_prompt": None,
    "profile": "headshot",
    "inputs": [],
    "width": 1024,
    "height": 1024,
    "cost_cap_usd_micro": 120_000,
    "deadline_s": 900,
    "priority": 5,
    "label": None,
    "copy_text": "",
    "brand_colours": [],
}
KEY = {"Idempotency-Key": "order-1"}
ADMIN = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
CATALOGUE = load().catalogue


@pytest.mark.parametrize("name", [*DEFAULTS, "all"])
@pytest.mark.parametrize("written_out_first", [False, True])
async def test_a_default_that_is_written_out_is_the_same_order(name: str, written_out_first: bool):
    world = IngestApp()
    written_out = BODY | (DEFAULTS if name == "all" else {name: DEFAULTS[name]})
    bodies = [written_out, BODY] if written_out_first else [BODY, written_out]
    async with running(world) as client:
        headers = await world.key() | KEY
        first, again = [await client.post("/v1/tasks", json=body, headers=headers) for body in bodies]
        await world.settle()
    assert (first.status_code, again.status_code) == (202, 202), again.text
    assert again.headers["idempotent-replayed"] == "true"
    assert again.content == first.content
    assert len(world.published("task.accepted")) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("profile", "nothing"),
        ("width", 1016),
        ("cost_cap_usd_micro", 120_001),
        ("deadline_s", 901),
        ("priority", 4),
        ("label", "mine"),
        ("negative_prompt", "blur"),
        ("k", 3),
    ],
)
async def test_another_value_is_another_order(name: str, value: object):
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key() | KEY
        await client.post("/v1/tasks", json=BODY, headers=headers)
        other = await client.post("/v1/tasks", json=BODY | {name: value}, headers=headers)
        back = await client.post("/v1/tasks", json=BODY, headers=headers)
    assert (other.status_code, other.json().get("code")) == (409, "idempotency_key_reused")
    assert back.headers["idempotent-replayed"] == "true"


async def test_a_default_cap_that_has_moved_since_is_still_the_orders_own(monkeypatch: pytest.MonkeyPatch):
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key() | KEY
        first = await client.post("/v1/tasks", json=BODY, headers=headers)

        async def dearer(*_: object) -> CostQuote:
            return CostQuote(1, 1, 999_999, 4)

        monkeypatch.setattr(world.router, "quote", dearer)
        world.clock.pass_s(60)
        written_out = await client.post(
            "/v1/tasks", json=BODY | {"cost_cap_usd_micro": 120_000}, headers=headers
        )
        of_now = await client.post("/v1/tasks", json=BODY | {"cost_cap_usd_micro": 999_999}, headers=headers)
    assert written_out.content == first.content
    # The quote's default of now was never this order's cap; left out, it is the cap that was accepted.
    assert of_now.content == first.content


@pytest.mark.parametrize("written_out", [{}, {"priority": 5, "width": 1024}])
async def test_an_order_that_was_recorded_as_it_was_sent_is_found_again(written_out: dict[str, Any]):
    """Orders of before have the bytes as sent for a fingerprint, their defaults written out or not."""
    world = IngestApp()
    async with running(world) as client:
        await client.post("/v1/tasks", json=BODY, headers=await world.key() | KEY)
        await world.settle()
    (document,) = world.published("task.accepted")
    sent = OrderForm(**BODY, **written_out)
    before = TaskAccepted.model_validate(document | {"request_sha256": fingerprint_of(sent.request_object())})
    assert is_same_order(sent, CATALOGUE, before)
    assert is_same_order(OrderForm(**BODY), CATALOGUE, before) is (not written_out)
    assert not is_same_order(OrderForm(**BODY | {"k": 3}), CATALOGUE, before)


@given(
    st.sampled_from(sorted(CATALOGUE.templates)),
    st.fixed_dictionaries(
        {}, optional={name: st.booleans() for name in ("width", "height", "priority", "label")}
    ),
)
def test_leaving_defaults_out_twice_changes_nothing_more(template: str, chosen: dict[str, bool]):
    values: dict[str, Any] = {"width": 1024, "height": 512, "priority": 5, "label": " "}
    form = OrderForm(template, "fast", 2, "p", **{name: values[name] for name in chosen})
    once = without_defaults(form, CATALOGUE)
    assert without_defaults(once, CATALOGUE) == once
    assert once.prompt == form.prompt


async def test_a_blank_label_is_none_and_a_blank_negative_prompt_is_none():
    world = IngestApp()
    async with running(world) as client:
        blank = BODY | {"label": "\u200b ", "negative_prompt": " \u00a0", "copy_text": "\u200b"}
        answer = await client.post("/v1/tasks", json=blank, headers=await world.key() | KEY)
    assert answer.status_code == 202, answer.text
    assert answer.json()["label"] is None
    ((_, stored),) = world.files.objects.items()
    assert json.loads(stored)["negative_prompt"] is None
