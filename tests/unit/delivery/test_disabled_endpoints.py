"""Endpoints that get nothing more: gone, failing for days, disabled or deleted."""

from __future__ import annotations

from datetime import timedelta

from services.delivery.domain.endpoints import WebhookAnswer
from services.delivery.domain.messages import AttemptReason, WebhookState
from tests.support.eventually import eventually
from tests.unit.delivery.builders import ACCOUNT, NOW, endpoint
from tests.unit.delivery.delivery_app import PICTURES, DeliveryApp


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
