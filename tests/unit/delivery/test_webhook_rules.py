"""Webhooks of a task: planned once, attempted by the schedule, and ended."""

from __future__ import annotations

import pytest

from services.delivery.domain.messages import AttemptReason, EndReceived, RedeliveryAsked, WebhookState
from services.delivery.domain.payload import webhook_payload
from services.delivery.domain.task import TaskDelivery
from services.delivery.domain.work import Finish, ReadEndpoints, SendWebhook, wanted
from tests.unit.delivery.builders import ACCOUNT, NOW, task_id
from tests.unit.delivery.domain_steps import DELIVERY, ENDPOINT, EVENT, ended, finishing, returned, step
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import TaskCancelled, TaskFailed, TaskRejected
from winnow.contracts.ids import Prefix, derive_id


@pytest.mark.parametrize(
    "event",
    [
        TaskCancelled(task_id=task_id(), account_id=ACCOUNT, stage="ingest", released_credits_micro=0),
        TaskRejected(task_id=task_id(), account_id=ACCOUNT, code=ErrorCode.insufficient_credits),
        TaskFailed(
            task_id=task_id(),
            account_id=ACCOUNT,
            code=ErrorCode.not_enough_passed,
            stage="router",
            reason="rounds_exhausted",
        ),
    ],
)
def test_an_end_by_another_service_is_noted_once_and_its_endpoints_are_looked_up(event):
    state, messages = step(TaskDelivery(task_id()), EndReceived(event, EVENT, NOW, "request-1"))
    assert [message.type for message in messages] == ["delivery.end_noted"]
    assert wanted(state) == (ReadEndpoints(task_id()),)
    assert step(state, EndReceived(event, derive_id(Prefix.event, "again"), NOW, "request-1"))[1] == []
    assert f'"type":"{event.type}"'.encode() in webhook_payload(state)


def test_an_end_by_another_service_is_ignored_while_the_end_is_ours_to_give():
    event = TaskCancelled(task_id=task_id(), account_id=ACCOUNT, stage="router", released_credits_micro=0)
    state = finishing()
    assert step(state, EndReceived(event, EVENT, NOW, "request-1"))[1] == []
    assert wanted(state) == (Finish(task_id()),)


def test_a_task_without_endpoints_is_final_at_once():
    assert ended(()).is_final
    assert not finishing().is_final


def test_the_first_attempt_is_wanted_as_soon_as_webhooks_are_planned():
    assert wanted(ended()) == (SendWebhook(task_id(), DELIVERY, ENDPOINT, 1),)


def test_a_redelivery_asked_while_sending_changes_nothing():
    assert step(ended(), RedeliveryAsked(DELIVERY))[1] == []


def test_a_late_or_repeated_attempt_is_ignored():
    state, _ = step(ended(), returned(1, AttemptReason.timed_out))
    assert step(state, returned(1, AttemptReason.accepted, 200))[1] == []
    assert step(state, returned(2, AttemptReason.accepted, 200))[1] == []


def test_gone_switches_the_delivery_off_for_good():
    state, _ = step(ended(), returned(1, AttemptReason.gone, 410))
    assert state.webhooks[0].state is WebhookState.endpoint_disabled
    assert state.is_final
