"""Webhooks of an end from edge to edge: who is told, again after failures, and never twice by mistake."""

from __future__ import annotations

import json
from datetime import timedelta

from services.delivery.domain.endpoints import WebhookAnswer
from services.delivery.domain.messages import AttemptReason, WebhookState
from tests.support.eventually import eventually
from tests.unit.delivery.builders import ACCOUNT, endpoint, task_id
from tests.unit.delivery.delivery_app import PICTURES, SHARDS, DeliveryApp
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import TaskFailed


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
