"""Every subscribed endpoint is told of every end within its schedule, or its exhausted delivery can be sent again."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.delivery.domain.decide import Policy, decide, delivery_id_of
from services.delivery.domain.messages import (
    AttemptReason,
    EndpointsRead,
    EndReceived,
    Incoming,
    RedeliveryAsked,
    WebhookAnswered,
    WebhookState,
)
from services.delivery.domain.schedule import disables_endpoint
from services.delivery.domain.task import TaskDelivery, due_at, evolve
from services.delivery.domain.work import ReadEndpoints, SendWebhook, wanted
from tests.support.builders.task_ids import TaskIds
from tests.unit.delivery.builders import ACCOUNT, NOW, output, task_id
from winnow.contracts.decider import Tick
from winnow.contracts.envelope import Event
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import (
    TaskCancelled,
    TaskDelivered,
    TaskFailed,
    TaskPartiallyDelivered,
    TaskRejected,
)
from winnow.contracts.ids import Prefix, derive_id

SCHEDULE_S = (0, 5, 60, 600)
POLICY = Policy(schedule_s=SCHEDULE_S)
WAIT_MAX_S = 1.25 * sum(SCHEDULE_S)
"""The schedule with the largest jitter and a second for each timer."""
EVENT = derive_id(Prefix.event, "end")
ABOUT = TaskIds(task_id=task_id(), account_id=ACCOUNT)
ENDS = (
    TaskDelivered(**ABOUT, outputs=[output(0)]),
    TaskPartiallyDelivered(**ABOUT, outputs=[output(0)], missing_count=1, reason="r"),
    TaskFailed(**ABOUT, code=ErrorCode.not_enough_passed, stage="router", reason="r"),
    TaskCancelled(**ABOUT, stage="router", released_credits_micro=0),
    TaskRejected(**ABOUT, code=ErrorCode.insufficient_credits),
)
REASONS = tuple(
    reason
    for reason in AttemptReason
    if reason not in {AttemptReason.throttled, AttemptReason.endpoint_disabled}
)


class Player:
    """Does the work that a delivery wants, as the process does, with answers that the test draws."""

    def __init__(self, endpoint_ids: list[str]) -> None:
        self.state = TaskDelivery(task_id())
        self.now = NOW
        self.endpoint_ids = endpoint_ids
        self.requests: Counter[str] = Counter()
        self.accepted_at: dict[str, datetime] = {}

    def take(self, message: Incoming) -> None:
        for decided in decide(self.state, message, self.now, POLICY):
            if isinstance(decided, Event):
                self.state = evolve(self.state, decided, self.now)

    def work(self, data: st.DataObject) -> bool:
        """Do the next piece of work, or let time pass to what is due; tells whether there was any."""
        for work in wanted(self.state):
            if isinstance(work, ReadEndpoints):
                self.take(EndpointsRead(EVENT, tuple(self.endpoint_ids)))
            elif isinstance(work, SendWebhook):
                self.answer(work, data.draw(st.sampled_from(REASONS)))
            return True
        due = due_at(self.state)
        if due is not None:
            self.now = max(self.now, due)
            self.take(Tick())
        return due is not None

    def answer(self, work: SendWebhook, reason: AttemptReason) -> None:
        self.requests[work.delivery_id] += 1
        if reason is AttemptReason.accepted:
            self.accepted_at.setdefault(work.delivery_id, self.now)
        self.take(WebhookAnswered(work.delivery_id, work.number, self.now, 0, reason, 1))


@given(st.data(), st.sampled_from(ENDS), st.integers(1, 4))
def test_an_endpoint_is_told_within_its_schedule_or_its_delivery_is_visible_and_can_be_sent_again(
    data: st.DataObject, end: Event, endpoints: int
) -> None:
    ids = [derive_id(Prefix.endpoint, index) for index in range(endpoints)]
    player = Player(ids)
    if isinstance(end, TaskDelivered | TaskPartiallyDelivered):
        player.state = evolve(TaskDelivery(task_id(), ACCOUNT), end, NOW)
    player.take(EndReceived(end, EVENT, NOW, "request-1"))  # type: ignore[arg-type]
    while player.work(data):
        assert player.now <= NOW + timedelta(seconds=WAIT_MAX_S)
    # One delivery for each endpoint, all of them in the log that the account sees.
    assert {planned.endpoint_id: planned.delivery_id for planned in player.state.webhooks} == {
        id_: delivery_id_of(id_, EVENT) for id_ in ids
    }
    for webhook in player.state.webhooks:
        last = webhook.attempts[-1]
        assert webhook.attempts_count == player.requests[webhook.delivery_id] >= 1
        if webhook.state is WebhookState.delivered:
            assert last.reason is AttemptReason.accepted
            assert webhook.delivery_id in player.accepted_at
        elif webhook.state is WebhookState.exhausted:
            assert webhook.attempts_count == len(SCHEDULE_S)
        else:
            assert webhook.state is WebhookState.endpoint_disabled
            assert disables_endpoint(last.reason)
    for webhook in player.state.webhooks:
        before = player.requests[webhook.delivery_id]
        player.take(RedeliveryAsked(webhook.delivery_id))
        (again,) = wanted(player.state)
        assert isinstance(again, SendWebhook)
        assert (again.delivery_id, again.number) == (webhook.delivery_id, before + 1)
        player.answer(again, AttemptReason.accepted)
        told = player.state.webhook(webhook.delivery_id)
        assert told is not None
        assert told.state is WebhookState.delivered
