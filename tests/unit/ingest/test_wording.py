"""Orders of every template, and the words and colours that some of them judge."""

from __future__ import annotations

import json

import pytest

from services.ingest.domain.orders import OrderForm
from services.ingest.store.catalogue import load
from tests.unit.ingest.ingest_app import IngestApp, running

KEY = {"Idempotency-Key": "order-1"}
BODY = {"template": "ad_creative", "mode": "low_cost", "k": 1, "prompt": 'ad creative "SALE" #e4002b'}
WORDING = {"copy_text": "SALE\n50% OFF", "brand_colours": ["#e4002b", "#1B4D3E"]}


@pytest.mark.parametrize("template", sorted(load().catalogue.templates))
async def test_an_order_of_every_template_is_taken_with_its_own_profile(template: str) -> None:
    world = IngestApp()
    async with running(world) as client:
        answer = await client.post(
            "/v1/tasks", json=BODY | {"template": template}, headers=await world.key() | KEY
        )
        await world.settle()
    assert answer.status_code == 202, answer.text
    (accepted,) = world.published("task.accepted")
    profile = load().catalogue.templates[template].profile
    assert accepted["profile"] == profile.model_dump(mode="json")


async def test_wording_lies_in_the_stored_request_and_in_no_record() -> None:
    world = IngestApp()
    async with running(world) as client:
        answer = await client.post("/v1/tasks", json=BODY | WORDING, headers=await world.key() | KEY)
        await world.settle()
    assert answer.status_code == 202, answer.text
    (body,) = world.files.objects.values()
    request = json.loads(body)
    assert {name: request[name] for name in WORDING} == WORDING
    assert all(b"50% OFF" not in message for *_, message in world.bus.messages)


def test_an_order_without_wording_keeps_the_fingerprint_it_always_had() -> None:
    request = json.loads(OrderForm("t", "m", 2, "p").request_object())
    assert set(request) == {"prompt", "negative_prompt", "inputs", "parameters", "order"}
    assert not {"copy_text", "brand_colours"} & set(request["order"])


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        ({"template": "studio_headshot"}, "invalid_request", "copy_text"),
        ({"template": "background_removal", "copy_text": ""}, "invalid_request", "brand_colours"),
        ({"copy_text": "a" * 201}, "out_of_bounds", "copy_text"),
        ({"brand_colours": ["#123456"] * 9}, "out_of_bounds", "brand_colours"),
        ({"brand_colours": ["#123456", "red"]}, "invalid_request", "brand_colours/1"),
        ({"brand_colours": ["#12345g"]}, "invalid_request", "brand_colours/0"),
    ],
)
async def test_wording_that_cannot_be_judged_is_refused(
    change: dict[str, object], code: str, pointer: str
) -> None:
    world = IngestApp()
    async with running(world) as client:
        answer = await client.post("/v1/tasks", json=BODY | WORDING | change, headers=await world.key() | KEY)
    assert answer.status_code in (400, 422), answer.text
    assert (answer.json()["code"], answer.json()["pointer"]) == (code, pointer)


async def test_the_copy_holds_to_the_word_rule_like_the_prompt() -> None:
    world = IngestApp()
    phrase = " ".join(load().rule.phrases[0])
    async with running(world) as client:
        answer = await client.post(
            "/v1/tasks", json=BODY | {"copy_text": phrase}, headers=await world.key() | KEY
        )
    assert answer.json()["code"] == "prompt_refused"
