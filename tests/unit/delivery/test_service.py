"""Delivery from edge to edge over a journal in memory: selection in, end and money out, webhooks sent."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest

from services.delivery import rpc
from services.delivery.domain.endpoints import WebhookAnswer
from services.delivery.domain.messages import AttemptReason, WebhookState
from tests.support.eventually import eventually
from tests.unit.delivery.builders import (
    ACCOUNT,
    NOW,
    PRICE,
    candidate_id,
    endpoint,
    task_id,
)
from tests.unit.delivery.delivery_app import PICTURES, SHARDS, DeliveryApp
from winnow.contracts.errors import ErrorCode, NotFound, Refused
from winnow.contracts.events import TaskFailed
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


async def test_every_subscribed_endpoint_hears_of_the_end_and_no_other_does():
    line = DeliveryApp()
    line.endpoints.kept = {
        subscriber.endpoint_id: subscriber
        for subscriber in (
            endpoint("all"),
            endpoint("ends", event_types=("task.delivered",)),
            endpoint("fails", event_types=("task.failed",)),
            endpoint("off", enabled=False),
            endpoint("stranger", account_id="acct_b"),
        )
    }
    async with line.running():
        await line.receive(line.order(PICTURES[0]))
        await eventually(lambda: (state := line.state()) and state.is_final)
        assert len(line.sender.requests) == 2
        assert len({request.delivery_id for request in line.sender.requests}) == 2
        assert len({request.secret for request in line.sender.requests}) == 2
        body = json.loads(line.sender.requests[0].body)
        assert body["type"] == "task.delivered"
        assert body["data"] | {"outputs": None} == {
            "task_id": task_id(),
            "state": "delivered",
            "k": 1,
            "delivered_count": 1,
            "outputs": None,
            "outputs_truncated": False,
        }


async def test_the_end_of_a_task_that_delivery_never_saw_is_told_too():
    line = DeliveryApp()
    line.endpoints.kept = {endpoint().endpoint_id: endpoint()}
    async with line.running():
        failed = TaskFailed(
            task_id=task_id(),
            account_id=ACCOUNT,
            code=ErrorCode.not_enough_passed,
            stage="router",
            reason="rounds_exhausted",
        )
        await line.receive(failed)
        await eventually(lambda: line.webhook_state() is WebhookState.delivered)
        data = json.loads(line.sender.requests[0].body)["data"]
        assert (data["state"], data["code"], data["delivered_count"]) == ("failed", "not_enough_passed", 0)


async def test_a_failed_attempt_is_made_again_with_the_same_id_and_body():
    line = DeliveryApp()
    line.endpoints.kept = {endpoint().endpoint_id: endpoint()}
    line.sender.answers = [WebhookAnswer(500, AttemptReason.server_error)]
    async with line.running():
        await line.receive(line.order(PICTURES[0]))
        await eventually(lambda: (state := line.state()) and state.webhooks and state.webhooks[0].next_at)
        assert len(line.sender.requests) == 1
        line.clock.at += timedelta(seconds=7)
        # The journal sleeps by the machine's clock; any message makes it look at the moved one.
        line.journal.assign(str(index) for index in range(SHARDS))
        await eventually(lambda: line.webhook_state() is WebhookState.delivered)
        first, second = line.sender.requests
        assert (first.delivery_id, first.body) == (second.delivery_id, second.body)
        assert second.at > first.at
        (logged,) = await line.log.lines(ACCOUNT, "", 0)
        assert [attempt.status for attempt in logged.webhook.attempts] == [500, 200]


async def test_gone_switches_the_endpoint_off():
    line = DeliveryApp()
    line.endpoints.kept = {endpoint().endpoint_id: endpoint()}
    line.sender.answers = [WebhookAnswer(410, AttemptReason.gone)]
    async with line.running():
        await line.receive(line.order(PICTURES[0]))
        await eventually(lambda: line.webhook_state() is WebhookState.endpoint_disabled)
        assert not line.endpoints.kept[endpoint().endpoint_id].enabled


async def test_five_days_of_failure_switch_the_endpoint_off_and_a_success_clears_the_count():
    line = DeliveryApp()
    failing = endpoint(failing_since=NOW - timedelta(days=4))
    line.endpoints.kept = {failing.endpoint_id: failing}
    async with line.running():
        await line.receive(line.order(PICTURES[0]))
        await eventually(lambda: line.webhook_state() is WebhookState.delivered)
        assert line.endpoints.kept[failing.endpoint_id].failing_since is None
        line.endpoints.kept[failing.endpoint_id] = endpoint(failing_since=NOW - timedelta(days=5))
        line.sender.answers = [WebhookAnswer(500, AttemptReason.server_error)]
        await line.log.redeliver(ACCOUNT, line.sender.requests[0].delivery_id)
        await eventually(lambda: not line.endpoints.kept[failing.endpoint_id].enabled)


async def test_a_disabled_endpoint_gets_nothing_more():
    line = DeliveryApp()
    line.endpoints.kept = {endpoint().endpoint_id: endpoint()}
    async with line.running():
        await line.receive(line.order(PICTURES[0]))
        await eventually(lambda: line.webhook_state() is WebhookState.delivered)
        line.endpoints.kept[endpoint().endpoint_id] = endpoint(enabled=False)
        await line.log.redeliver(ACCOUNT, line.sender.requests[0].delivery_id)
        await eventually(lambda: line.webhook_state() is not WebhookState.pending)
        assert line.webhook_state() is WebhookState.endpoint_disabled
        assert len(line.sender.requests) == 1


async def test_a_deleted_endpoint_gets_nothing_more():
    line = DeliveryApp()
    line.endpoints.kept = {endpoint().endpoint_id: endpoint()}
    async with line.running():
        await line.receive(line.order(PICTURES[0]))
        await eventually(lambda: line.webhook_state() is WebhookState.delivered)
        await line.register.delete(ACCOUNT, endpoint().endpoint_id)
        logged = await line.log.redeliver(ACCOUNT, line.sender.requests[0].delivery_id)
        assert logged.webhook.state is WebhookState.pending
        await eventually(lambda: line.webhook_state() is WebhookState.endpoint_disabled)
        assert len(line.sender.requests) == 1


async def test_a_redelivery_asked_of_a_process_that_does_not_own_the_task_reaches_its_owner():
    line = DeliveryApp()
    line.endpoints.kept = {endpoint().endpoint_id: endpoint()}
    async with line.running():
        await line.receive(line.order(PICTURES[0]))
        await eventually(lambda: line.webhook_state() is WebhookState.delivered)
        await line.journal.save()
        other = DeliveryApp(journal_store=line.journal_store, index=line.index)
        logged = await other.log.redeliver(ACCOUNT, line.sender.requests[0].delivery_id)
        assert logged.webhook.state is WebhookState.delivered
        assert len(line.index.asked) == 1
        assert await other.log.take_redeliveries() == 0
        assert await line.log.take_redeliveries() == 1
        await eventually(lambda: len(line.sender.requests) == 2)
        assert line.index.asked == []
        other.images.close()


async def test_another_account_sees_and_reaches_nothing():
    line = DeliveryApp()
    line.endpoints.kept = {endpoint().endpoint_id: endpoint()}
    async with line.running():
        await line.receive(line.order(PICTURES[0]))
        await eventually(lambda: line.webhook_state() is WebhookState.delivered)
        delivery_id = line.sender.requests[0].delivery_id
        with pytest.raises(NotFound):
            await line.outputs.renew_links("acct_b", task_id(), 0)
        with pytest.raises(NotFound):
            await line.log.redeliver("acct_b", delivery_id)
        with pytest.raises(NotFound):
            await line.register.delete("acct_b", endpoint().endpoint_id)
        assert await line.log.lines("acct_b", "", 0) == []
        assert await line.log.lines("acct_b", task_id(), 0) == []
        assert await line.register.of_account("acct_b") == []
        assert len(await line.log.lines(ACCOUNT, task_id(), 0)) == 1


async def test_an_endpoint_is_checked_bounded_and_has_a_secret_of_its_own():
    line = DeliveryApp()
    first, secret = await line.register.register(ACCOUNT, "https://a.example/", [], bytes(10))
    second, other = await line.register.register(
        ACCOUNT, "https://a.example/", ["task.failed"], bytes([1] * 10)
    )
    assert first.endpoint_id != second.endpoint_id
    assert secret != other
    assert secret.startswith("whsec_")
    for url, types in (("http://a.example/", []), ("https://a.example/", ["task.x"]), ("https://b/", [])):
        with pytest.raises(Refused):
            await line.register.register(ACCOUNT, url, types, bytes([2] * 10))
    line.images.close()


async def test_outputs_past_their_retention_are_deleted_and_not_linked():
    async with DeliveryApp().running() as line:
        await line.receive(line.order(PICTURES[0]))
        await eventually(lambda: line.published(TASKS.name))
        assert await line.outputs.sweep() == 0
        line.clock.at += timedelta(seconds=86_401)
        with pytest.raises(NotFound):
            await line.outputs.renew_links(ACCOUNT, task_id(), 0)
        assert await line.outputs.sweep() == 1
        assert [key for bucket, key in line.files.objects if bucket == "outputs"] == []
        assert await line.outputs.sweep() == 0


def test_every_code_that_delivery_gives_has_a_status():
    assert {
        ErrorCode.not_found,
        ErrorCode.invalid_request,
        ErrorCode.out_of_bounds,
        ErrorCode.url_not_allowed,
        ErrorCode.unavailable,
    } <= set(rpc.STATUS)
