"""Promises of every store of delivery: run on the fakes of the unit tests, and on the real database."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from services.delivery.app.ports import Endpoints, Index
from services.delivery.domain.records import Redelivery
from tests.unit.delivery.builders import ACCOUNT, NOW, endpoint, task_id
from winnow.contracts.errors import ErrorCode, Refused


class EndpointSuite:
    """Subclasses provide ``endpoints``: an empty store."""

    async def test_an_endpoint_is_found_by_its_account_only(self, endpoints: Endpoints):
        stored = endpoint()
        await endpoints.add(stored, 5)
        assert await endpoints.find(stored.endpoint_id) == stored
        assert await endpoints.of_account(ACCOUNT) == [stored]
        assert await endpoints.of_account("acct_b") == []
        assert await endpoints.remove("acct_b", stored.endpoint_id) is False
        assert await endpoints.remove(ACCOUNT, stored.endpoint_id) is True
        assert await endpoints.remove(ACCOUNT, stored.endpoint_id) is False
        assert await endpoints.find(stored.endpoint_id) is None

    async def test_an_account_has_no_more_endpoints_than_allowed_even_at_once(self, endpoints: Endpoints):
        added = await asyncio.gather(
            *(endpoints.add(endpoint(str(index)), 3) for index in range(6)), return_exceptions=True
        )
        refused = [outcome for outcome in added if outcome is not None]
        assert [refusal.code for refusal in refused if isinstance(refusal, Refused)] == [
            ErrorCode.out_of_bounds
        ] * 3
        assert len(await endpoints.of_account(ACCOUNT)) == 3
        await endpoints.remove(ACCOUNT, (await endpoints.of_account(ACCOUNT))[0].endpoint_id)
        await endpoints.add(endpoint("again"), 3)
        with pytest.raises(Refused):
            await endpoints.add(endpoint("more"), 3)

    async def test_only_enabled_endpoints_that_want_a_type_are_subscribed(self, endpoints: Endpoints):
        wanted = [endpoint("all"), endpoint("some", event_types=("task.failed", "task.delivered"))]
        for stored in (
            *wanted,
            endpoint("other", event_types=("task.failed",)),
            endpoint("off", enabled=False),
            endpoint("stranger", account_id="acct_b"),
        ):
            await endpoints.add(stored, 9)
        subscribed = await endpoints.subscribed(ACCOUNT, "task.delivered")
        assert {stored.endpoint_id for stored in subscribed} == {stored.endpoint_id for stored in wanted}

    async def test_the_first_failure_is_kept_until_a_success(self, endpoints: Endpoints):
        stored = endpoint()
        await endpoints.add(stored, 5)
        await endpoints.note_failure(stored.endpoint_id, NOW, disable=False)
        await endpoints.note_failure(stored.endpoint_id, NOW + timedelta(days=1), disable=False)
        failing = await endpoints.find(stored.endpoint_id)
        assert failing is not None
        assert (failing.failing_since, failing.enabled) == (NOW, True)
        await endpoints.note_success(stored.endpoint_id)
        assert await endpoints.find(stored.endpoint_id) == stored
        await endpoints.note_failure(stored.endpoint_id, NOW, disable=True)
        assert await endpoints.subscribed(ACCOUNT, "task.delivered") == []


class IndexSuite:
    """Subclasses provide ``index``: an empty store."""

    async def test_outputs_are_given_oldest_first_once_they_are_old(self, index: Index):
        for days, name in ((2, "b"), (1, "a"), (3, "c")):
            await index.note_outputs(task_id(name), ACCOUNT, [f"outputs/{name}"], NOW + timedelta(days=days))
        await index.note_outputs(task_id("a"), ACCOUNT, ["outputs/a"], NOW + timedelta(days=1))
        old = await index.outputs_before(NOW + timedelta(days=3), 10)
        assert [(kept.task_id, kept.keys) for kept in old] == [
            (task_id("a"), ("outputs/a",)),
            (task_id("b"), ("outputs/b",)),
        ]
        assert len(await index.outputs_before(NOW + timedelta(days=3), 1)) == 1
        await index.forget_outputs([task_id("a"), task_id("b")])
        assert await index.outputs_before(NOW + timedelta(days=3), 10) == []

    async def test_webhooks_are_found_by_account_newest_first_and_by_delivery(self, index: Index):
        for minutes, name in ((1, "a"), (2, "b")):
            await index.note_webhooks(
                task_id(name), ACCOUNT, [f"dlv_{name}"], NOW + timedelta(minutes=minutes)
            )
        # Planning again, as after a crash, neither doubles nor reorders.
        await index.note_webhooks(task_id("a"), ACCOUNT, ["dlv_a"], NOW + timedelta(minutes=9))
        assert await index.tasks_with_webhooks(ACCOUNT, 10) == [task_id("b"), task_id("a")]
        assert await index.tasks_with_webhooks(ACCOUNT, 1) == [task_id("b")]
        assert await index.tasks_with_webhooks("acct_b", 10) == []
        assert await index.task_of_delivery(ACCOUNT, "dlv_a") == task_id("a")
        assert await index.task_of_delivery("acct_b", "dlv_a") is None
        assert await index.task_of_delivery(ACCOUNT, "dlv_x") is None

    async def test_a_redelivery_waits_until_it_is_forgotten(self, index: Index):
        first, second = Redelivery(task_id("a"), "dlv_a"), Redelivery(task_id("b"), "dlv_b")
        await index.ask_redelivery(first, NOW)
        await index.ask_redelivery(second, NOW + timedelta(seconds=1))
        await index.ask_redelivery(first, NOW + timedelta(seconds=2))
        assert set(await index.asked_redeliveries(10)) == {first, second}
        await index.forget_redelivery(first)
        assert await index.asked_redeliveries(10) == [second]
