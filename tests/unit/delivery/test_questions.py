"""Questions to delivery: links, endpoints and their secrets, retention, and another account."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.delivery import rpc
from services.delivery.domain.messages import WebhookState
from tests.support.eventually import eventually
from tests.unit.delivery.builders import ACCOUNT, endpoint, task_id
from tests.unit.delivery.delivery_app import PICTURES, DeliveryApp
from winnow.contracts.errors import ErrorCode, NotFound, Refused
from winnow.contracts.topics import TASKS


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
