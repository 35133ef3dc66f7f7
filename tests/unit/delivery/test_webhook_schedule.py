"""Attempts of a webhook: schedule, jitter, statuses, and an endpoint that fails for days."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.domain.endpoints import is_disabled_after_failures
from services.delivery.domain.messages import AttemptReason, RedeliveryAsked, WebhookState
from services.delivery.domain.schedule import SCHEDULE_S, jitter_ppm, next_at, reason_of_status, wait_s
from services.delivery.domain.task import due_at
from services.delivery.domain.work import SendWebhook, wanted
from tests.unit.delivery.builders import NOW, endpoint, task_id
from tests.unit.delivery.domain_steps import DELIVERY, ENDPOINT, ended, returned, step
from winnow.contracts.decider import Tick


def test_a_failing_endpoint_gets_the_whole_schedule_then_is_exhausted_and_can_be_sent_again():
    state, now, at = ended(), NOW, []
    for number in range(1, len(SCHEDULE_S) + 1):
        assert wanted(state) == (SendWebhook(task_id(), DELIVERY, ENDPOINT, number),)
        state, _ = step(state, returned(number, AttemptReason.server_error, 500), now)
        due = due_at(state)
        if due is None:
            break
        assert wanted(state) == ()
        assert step(state, Tick(), due - timedelta(milliseconds=1))[1] == []
        now = due
        at.append(now)
        state, _ = step(state, Tick(), now)
    webhook = state.webhooks[0]
    assert (webhook.state, webhook.attempts_count) == (WebhookState.exhausted, 10)
    assert len(at) == 9
    assert state.is_final
    state, _ = step(state, RedeliveryAsked(DELIVERY), now)
    assert not state.is_final
    assert wanted(state) == (SendWebhook(task_id(), DELIVERY, ENDPOINT, 11),)
    state, _ = step(state, returned(11, AttemptReason.accepted, 200), now)
    assert state.webhooks[0].state is WebhookState.delivered
    assert state.is_final


@pytest.mark.parametrize(
    ("reason", "asked_s", "at_least_s"),
    [
        (AttemptReason.throttled, 900, 900),
        (AttemptReason.throttled, 10**8, 86_400),
        (AttemptReason.refused, 900, 5),
    ],
)
def test_retry_after_is_honoured_for_throttling_up_to_a_day(reason, asked_s, at_least_s):
    state, _ = step(ended(), returned(1, reason, 429, asked_s))
    next_at = state.webhooks[0].next_at
    assert next_at is not None
    wait = (next_at - NOW).total_seconds()
    assert at_least_s <= wait < at_least_s + 2


@given(st.text(max_size=40))
def test_the_schedule_grows_and_no_attempt_is_early(delivery_id: str) -> None:
    found = [
        wait_s(SCHEDULE_S, index, delivery_id=delivery_id, number=index + 1)
        for index in range(len(SCHEDULE_S))
    ]
    waits = [wait for wait in found if wait is not None]
    assert all(wait >= scheduled for wait, scheduled in zip(waits, SCHEDULE_S, strict=True))
    assert all(before < after for before, after in pairwise(waits))
    assert wait_s(SCHEDULE_S, len(SCHEDULE_S), delivery_id=delivery_id, number=99) is None
    assert next_at(NOW, (0,), 0, delivery_id=delivery_id, number=1) == NOW


def test_jitter_is_derived_and_spreads():
    values = {jitter_ppm(f"dlv_{index}", 2) for index in range(200)}
    assert jitter_ppm("dlv_1", 2) == jitter_ppm("dlv_1", 2) != jitter_ppm("dlv_1", 3)
    assert len(values) > 190
    assert min(values) < 20_000
    assert max(values) > 180_000


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (200, "accepted"),
        (204, "accepted"),
        (299, "accepted"),
        (301, "redirected"),
        (308, "redirected"),
        (400, "refused"),
        (401, "refused"),
        (410, "gone"),
        (429, "throttled"),
        (500, "server_error"),
        (502, "throttled"),
        (504, "throttled"),
        (199, "refused"),
    ],
)
def test_a_status_is_read_as_the_standard_says(status, reason):
    assert reason_of_status(status) == reason


def test_an_endpoint_is_worn_out_after_five_days_of_failure():
    since = endpoint(failing_since=NOW)
    assert not is_disabled_after_failures(since, NOW + timedelta(days=5, seconds=-1))
    assert is_disabled_after_failures(since, NOW + timedelta(days=5))
    assert not is_disabled_after_failures(endpoint(), NOW)
