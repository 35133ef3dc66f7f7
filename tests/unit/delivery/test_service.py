"""Delivery from edge to edge over a journal in memory: selection in, end and money out."""

from __future__ import annotations

import re

import pytest

from tests.support.eventually import eventually
from tests.unit.delivery.builders import ACCOUNT, PRICE, candidate_id, task_id
from tests.unit.delivery.delivery_app import PICTURES, DeliveryApp
from winnow.contracts.errors import NotFound
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.topics import LEDGER_COMMAND_TOPIC, TASKS


async def test_a_selection_becomes_outputs_an_end_a_charge_and_links():
    async with DeliveryApp().running() as line:
        await line.receive(line.order(*PICTURES))
        await eventually(lambda: line.published(LEDGER_COMMAND_TOPIC.name))
        (end,) = line.published(TASKS.name)
        (settle,) = line.published(LEDGER_COMMAND_TOPIC.name)
        assert end["type"] == "task.delivered"
        assert (settle["type"], settle["amount_credits_micro"]) == ("SettleCredits", 2 * PRICE)
        assert end["correlation_id"] == settle["correlation_id"] == "request-1"
        assert [output["stored"]["content_type"] for output in end["outputs"]] == ["image/jpeg", "image/png"]
        for output in end["outputs"]:
            for part, folder in (("stored", "outputs"), ("thumbnail", "thumbs")):
                key = output[part]["key"]
                # 128 unguessable bits, then the content; no id of an account, a task or a candidate.
                assert re.fullmatch(rf"{folder}/[0-9a-f]{{32}}/{output[part]['sha256']}\.(jpg|png|webp)", key)
                assert len(line.files.objects["outputs", key]) == output[part]["size_bytes"]
        links = await line.outputs.renew_links(ACCOUNT, task_id(), 0)
        assert [signed.output_id for signed in links] == [output["output_id"] for output in end["outputs"]]
        assert links[0].expires_in_s == 300
        assert "expires=300" in links[0].url
        for link in links:
            for url in (link.url, link.thumbnail_url):
                assert ACCOUNT not in url
                assert task_id()[-12:] not in url, (
                    "a derived id lets its reader test guesses of what it is made of"
                )
        names = {name for link in links for name in re.findall(r"file=winnow-([0-9a-f]{12})-", link.url)}
        assert len(names) == 1, "the files of an order are saved side by side"


async def test_a_selection_that_comes_twice_delivers_and_charges_once():
    async with DeliveryApp().running() as line:
        order = line.order(PICTURES[0])
        await line.receive(order)
        await line.receive(order)
        await line.receive(order, derive_id(Prefix.event, "another"))
        await eventually(lambda: (state := line.state()) and state.is_final)
        assert len(line.published(TASKS.name)) == 1
        assert len(line.published(LEDGER_COMMAND_TOPIC.name)) == 1


async def test_changed_bytes_and_missing_or_broken_objects_are_not_delivered():
    async with DeliveryApp().running() as line:
        order = line.order(PICTURES[0], PICTURES[1], b"not an image", PICTURES[1] + b"x")
        line.files.keep(order.selected[1], PICTURES[1][:-1] + b"?")
        del line.files.objects["private", "candidates/3"]
        await line.receive(order)
        await eventually(lambda: line.published(LEDGER_COMMAND_TOPIC.name))
        (end,) = line.published(TASKS.name)
        assert (end["type"], end["missing_count"]) == ("task.partially_delivered", 3)
        assert [output["candidate_id"] for output in end["outputs"]] == [candidate_id(0)]
        assert line.published(LEDGER_COMMAND_TOPIC.name)[0]["amount_credits_micro"] == PRICE


async def test_nothing_deliverable_fails_the_task_and_releases_everything():
    async with DeliveryApp().running() as line:
        await line.receive(line.order(b"not an image"))
        await eventually(lambda: line.published(LEDGER_COMMAND_TOPIC.name))
        assert [event["type"] for event in line.published(TASKS.name)] == ["task.failed"]
        assert line.published(LEDGER_COMMAND_TOPIC.name)[0]["type"] == "ReleaseCredits"
        with pytest.raises(NotFound):
            await line.outputs.renew_links(ACCOUNT, task_id(), 0)


async def test_a_store_that_is_away_for_a_moment_only_delays():
    async with DeliveryApp().running() as line:
        line.files.failures = 2
        await line.receive(line.order(PICTURES[0]))
        await eventually(lambda: line.published(TASKS.name))
        assert line.published(TASKS.name)[0]["type"] == "task.delivered"


async def test_a_store_that_stays_away_ends_the_task_in_time():
    async with DeliveryApp(within_s=0.05).running() as line:
        line.files.failures = 10_000
        await line.receive(line.order(PICTURES[0]))
        await eventually(lambda: line.published(TASKS.name))
        assert line.published(TASKS.name)[0]["reason"] == "finishing_timed_out"


async def test_a_new_owner_resumes_finishing_from_state():
    first = DeliveryApp()
    first.files.failures = 10_000
    async with first.running():
        await first.receive(first.order(PICTURES[0]))
        await eventually(lambda: first.journal_store.blocks)
    assert first.published(TASKS.name) == []
    first.files.failures = 0
    second = DeliveryApp(
        journal_store=first.journal_store, bus=first.bus, files=first.files, offsets=first.offsets
    )
    async with second.running():
        await eventually(lambda: second.published(TASKS.name))
    assert second.published(TASKS.name)[0]["type"] == "task.delivered"
