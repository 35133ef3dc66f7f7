"""The rules of delivery: one end, a fair price, webhooks that end."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from services.delivery.domain.decide import Policy, decide, delivery_id_of
from services.delivery.domain.endpoints import checked_event_types, is_disabled_after_failures, secret_of
from services.delivery.domain.messages import (
    END_TYPES,
    AttemptReason,
    EndpointsRead,
    EndReceived,
    Finished,
    FinishFailure,
    Incoming,
    RedeliveryAsked,
    WebhookAnswered,
    WebhookState,
)
from services.delivery.domain.outputs import link_life_s, unguessable
from services.delivery.domain.payload import webhook_payload
from services.delivery.domain.schedule import SCHEDULE_S, jitter_ppm, next_at, reason_of_status, wait_s
from services.delivery.domain.task import TaskDelivery, due_at, evolve
from services.delivery.domain.work import Finish, ReadEndpoints, SendWebhook, wanted
from tests.unit.delivery.builders import (
    ACCOUNT,
    NOW,
    PRICE,
    endpoint,
    output,
    selected,
    selection,
    selection_received,
    task_id,
)
from winnow.contracts.commands import ReleaseCredits, SettleCredits
from winnow.contracts.decider import Tick
from winnow.contracts.envelope import Event, Message
from winnow.contracts.errors import ErrorCode, Refused
from winnow.contracts.events import (
    TaskCancelled,
    TaskDelivered,
    TaskFailed,
    TaskPartiallyDelivered,
    TaskRejected,
)
from winnow.contracts.ids import Prefix, derive_id

POLICY = Policy()
ENDPOINT = endpoint().endpoint_id
EVENT = derive_id(Prefix.event, "end")
DELIVERY = delivery_id_of(ENDPOINT, EVENT)
ENDS = (TaskDelivered, TaskPartiallyDelivered, TaskFailed)


def step(
    state: TaskDelivery, message: Incoming, now: datetime = NOW, policy: Policy = POLICY
) -> tuple[TaskDelivery, list[Message]]:
    messages = list(decide(state, message, now, policy))
    for decided in messages:
        if isinstance(decided, Event):
            state = evolve(state, decided, now)
    return state, messages


def finishing(k: int = 2) -> TaskDelivery:
    return step(TaskDelivery(task_id()), selection_received(selection(k)))[0]


def ended(endpoints: tuple[str, ...] = (ENDPOINT,)) -> TaskDelivery:
    state, messages = step(finishing(1), Finished((output(0),), ()))
    end = next(message for message in messages if isinstance(message, TaskDelivered))
    state, _ = step(state, EndReceived(end, EVENT, NOW, "request-1"))
    return step(state, EndpointsRead(EVENT, endpoints))[0]


def returned(number: int, reason: AttemptReason, status: int = 0, retry_after_s: int = 0) -> WebhookAnswered:
    return WebhookAnswered(DELIVERY, number, NOW, status, reason, 12, retry_after_s)


def test_all_k_outputs_deliver_the_task_and_settle_their_price():
    _, messages = step(finishing(2), Finished((output(1), output(0)), ()))
    delivered, settle = messages
    assert isinstance(delivered, TaskDelivered)
    assert [item.rank for item in delivered.outputs] == [1, 2]
    assert isinstance(settle, SettleCredits)
    assert (settle.amount_credits_micro, settle.delivered_count) == (2 * PRICE, 2)
    assert settle.cost.actual_usd_micro == 38_000


def test_a_missing_output_delivers_in_part_and_charges_only_the_rest():
    failed = FinishFailure(candidate_id=output(1).candidate_id, reason="content_differs")
    _, messages = step(finishing(2), Finished((output(0),), (failed,)))
    _, partial, settle = messages
    assert isinstance(partial, TaskPartiallyDelivered)
    assert (partial.missing_count, partial.reason) == (1, "content_differs")
    assert isinstance(settle, SettleCredits)
    assert settle.amount_credits_micro == PRICE


def test_nothing_finished_fails_the_task_and_releases_the_reservation():
    failed = tuple(
        FinishFailure(candidate_id=output(index).candidate_id, reason="object_missing") for index in range(2)
    )
    _, messages = step(finishing(2), Finished((), failed))
    _, end, release = messages
    assert isinstance(end, TaskFailed)
    assert (end.stage, end.code) == ("delivery", ErrorCode.delivery_failed)
    assert isinstance(release, ReleaseCredits)


def test_an_output_of_a_candidate_that_was_not_selected_is_not_delivered():
    stranger = output(0, task="another")
    _, messages = step(finishing(1), Finished((stranger,), ()))
    assert isinstance(messages[0], TaskFailed)


def test_no_more_than_k_are_delivered_and_charged_however_many_were_selected_and_finished():
    event = selection(2, candidates=[selected(index) for index in (3, 1, 0, 2)], reserved=4 * PRICE)
    state, _ = step(TaskDelivery(task_id()), selection_received(event))
    outputs = tuple(output(index) for index in (3, 2, 1, 0))
    _, messages = step(state, Finished(outputs, ()))
    delivered, settle = messages
    assert isinstance(delivered, TaskDelivered)
    assert [item.candidate_id for item in delivered.outputs] == [
        output(0).candidate_id,
        output(1).candidate_id,
    ]
    assert isinstance(settle, SettleCredits)
    assert (settle.delivered_count, settle.amount_credits_micro) == (2, 2 * PRICE)


def test_an_output_that_came_twice_is_delivered_once():
    _, messages = step(finishing(2), Finished((output(0), output(0)), ()))
    partial = messages[0]
    assert isinstance(partial, TaskPartiallyDelivered)
    assert len(partial.outputs) == 1


def test_a_charge_never_exceeds_what_was_reserved():
    event = selection(2, reserved=PRICE)
    state, _ = step(TaskDelivery(task_id()), selection_received(event))
    _, messages = step(state, Finished((output(0), output(1)), ()))
    settle = messages[-1]
    assert isinstance(settle, SettleCredits)
    assert settle.amount_credits_micro == PRICE


def test_finishing_that_never_returns_fails_at_its_deadline_and_not_before():
    state = finishing()
    due = due_at(state)
    assert due == NOW + timedelta(seconds=POLICY.finish_deadline_s)
    assert step(state, Tick(), due - timedelta(seconds=1))[1] == []
    _, messages = step(state, Tick(), due)
    assert [type(message) for message in messages] == [TaskFailed, ReleaseCredits]


@given(
    st.integers(1, 5),
    st.lists(
        st.sampled_from(["select", "finish_all", "finish_none", "finish_one", "time", "end"]), max_size=8
    ),
)
def test_whatever_comes_in_whatever_order_a_task_ends_once_and_pays_for_deliveries_only(
    k: int, moves: list[str]
) -> None:
    state, published = TaskDelivery(task_id()), []
    late = NOW + timedelta(seconds=POLICY.finish_deadline_s + 1)
    for move in moves:
        messages_by_move: dict[str, Incoming] = {
            "select": selection_received(selection(k)),
            "finish_all": Finished(tuple(output(index) for index in range(k + 2)), ()),
            "finish_none": Finished((), ()),
            "finish_one": Finished((output(0), output(0)), ()),
            "time": Tick(),
            "end": EndReceived(
                TaskCancelled(
                    task_id=task_id(), account_id=ACCOUNT, stage="router", released_credits_micro=0
                ),
                EVENT,
                NOW,
                "request-1",
            ),
        }
        state, messages = step(state, messages_by_move[move], late if move == "time" else NOW)
        published += messages
    ends = [event for event in published if isinstance(event, ENDS)]
    assert len(ends) <= 1
    money = [event for event in published if isinstance(event, SettleCredits | ReleaseCredits)]
    assert len(money) == len(ends)
    for end, paid in zip(ends, money, strict=True):
        delivered = [] if isinstance(end, TaskFailed) else end.outputs
        assert len(delivered) <= k
        charged = paid.amount_credits_micro if isinstance(paid, SettleCredits) else 0
        assert charged == PRICE * len(delivered)


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


def test_a_body_holds_ids_and_counts_stays_small_and_is_the_same_each_time():
    outputs = tuple(output(index) for index in range(500))
    state = replace(ended(), outputs=outputs)
    body = webhook_payload(state)
    assert body == webhook_payload(state)
    assert len(body) < 20_000
    assert b'"outputs_truncated":true' in body
    assert b"http" not in body
    assert b"outputs/" not in body


def test_a_state_survives_its_stored_form():
    state, _ = step(ended(), returned(1, AttemptReason.timed_out))
    adapter = TypeAdapter(TaskDelivery)
    assert adapter.validate_json(adapter.dump_json(state)) == state


@pytest.mark.parametrize(("asked_s", "life_s"), [(0, 300), (1, 1), (900, 900)])
def test_a_link_lives_as_asked_within_bounds(asked_s, life_s):
    assert link_life_s(asked_s) == life_s


@pytest.mark.parametrize("asked_s", [901, 86_400])
def test_a_link_that_would_live_too_long_is_refused(asked_s):
    with pytest.raises(Refused) as refused:
        link_life_s(asked_s)
    assert refused.value.code is ErrorCode.out_of_bounds


def test_secrets_and_names_are_derived_and_differ_by_key_and_id():
    assert secret_of(b"k" * 32, "whe_1") == secret_of(b"k" * 32, "whe_1")
    assert (
        len(
            {
                secret_of(key, endpoint_id)
                for key in (b"k" * 32, b"l" * 32)
                for endpoint_id in ("whe_1", "whe_2")
            }
        )
        == 4
    )
    assert unguessable(b"k", "cand_1") != unguessable(b"l", "cand_1")


def test_event_types_are_checked_and_put_in_order():
    assert checked_event_types(list(reversed(END_TYPES))) == END_TYPES
    with pytest.raises(Refused):
        checked_event_types(["task.accepted"])


def test_an_endpoint_is_worn_out_after_five_days_of_failure():
    since = endpoint(failing_since=NOW)
    assert not is_disabled_after_failures(since, NOW + timedelta(days=5, seconds=-1))
    assert is_disabled_after_failures(since, NOW + timedelta(days=5))
    assert not is_disabled_after_failures(endpoint(), NOW)
