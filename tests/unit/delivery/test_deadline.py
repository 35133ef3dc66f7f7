"""A selected task ends before its order's deadline plus slack, with money only for what was delivered."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.domain.decide import Policy, decide, finish_by
from services.delivery.domain.messages import Finished
from services.delivery.domain.task import TaskDelivery, due_at, evolve
from tests.support.eventually import eventually
from tests.unit.delivery.builders import NOW, PRICE, output, selection, selection_received, task_id
from tests.unit.delivery.delivery_app import PICTURES, DeliveryApp
from tests.unit.delivery.fakes import MemoryFiles
from winnow.contracts.commands import ReleaseCredits, SettleCredits
from winnow.contracts.decider import Tick
from winnow.contracts.envelope import Event
from winnow.contracts.events import TaskDelivered, TaskFailed, TaskSelected
from winnow.contracts.topics import LEDGER_COMMAND_TOPIC, TASKS


def promised(event: TaskSelected, deadline_s: float, slack_s: int) -> TaskSelected:
    """Return the selection with the promise of an order whose deadline lies so many seconds from now."""
    changes = {"deadline_at": NOW + timedelta(seconds=deadline_s), "deadline_slack_s": slack_s}
    return event.model_copy(update=changes)


@given(
    st.integers(-100_000, 100_000), st.integers(10, 1800), st.integers(10, 86_400), st.integers(0, 100_000)
)
def test_the_limit_of_delivery_lies_before_deadline_and_slack_with_half_the_slack_to_spare(
    deadline_s: int, slack_s: int, own_s: int, passed_s: int
) -> None:
    event, policy = promised(selection(), deadline_s, slack_s), Policy(own_s)
    now = NOW + timedelta(seconds=passed_s)
    limit = finish_by(event, now, policy)
    assert event.deadline_at is not None
    assert limit <= event.deadline_at + timedelta(seconds=slack_s / 2)
    assert limit <= now + timedelta(seconds=own_s)
    state = TaskDelivery(task_id())
    for message in decide(state, selection_received(event), now, policy):
        assert isinstance(message, Event)
        state = evolve(state, message, now)
    assert due_at(state) == limit
    ended = decide(state, Tick(), max(now, limit), policy)
    assert [type(message) for message in ended] == [TaskFailed, ReleaseCredits]


@pytest.mark.parametrize("late_us", [0, 1, 3_600_000_000])
def test_outputs_that_are_decided_at_the_limit_or_after_it_are_neither_delivered_nor_charged(
    late_us: int,
) -> None:
    state, policy = TaskDelivery(task_id()), Policy(100)
    for message in decide(state, selection_received(selection(2)), NOW, policy):
        assert isinstance(message, Event)
        state = evolve(state, message, NOW)
    finished = Finished((output(0), output(1)), ())
    limit = NOW + timedelta(seconds=100)
    in_time = decide(state, finished, limit - timedelta(microseconds=1), policy)
    assert [type(message) for message in in_time] == [TaskDelivered, SettleCredits]
    at = limit + timedelta(microseconds=late_us)
    failed, released = decide(state, finished, at, policy)
    assert isinstance(failed, TaskFailed)
    assert failed.reason == "finishing_timed_out"
    assert isinstance(released, ReleaseCredits)
    assert [failed, released] == decide(state, Tick(), at, policy)


@pytest.mark.parametrize("absent", ["deadline_at", "deadline_slack_s"])
def test_an_order_without_the_promise_has_the_limit_of_delivery(absent: str) -> None:
    event = promised(selection(), 60, 60).model_copy(update={absent: None})
    assert finish_by(event, NOW, Policy(100)) == NOW + timedelta(seconds=100)


@dataclass
class StalledFiles(MemoryFiles):
    """A store that never answers for one object."""

    stalled: str = "candidates/1"
    asked: list[str] = field(default_factory=list)

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        self.asked.append(key)
        if key == self.stalled:
            await asyncio.Event().wait()
        return await super().get(bucket, key, max_bytes)


async def test_outputs_that_are_finished_in_time_are_delivered_and_only_those_are_charged() -> None:
    async with DeliveryApp(files=StalledFiles(), within_s=60.0).running() as line:
        await line.receive(promised(line.order(*PICTURES), deadline_s=0.0, slack_s=4))
        await eventually(lambda: line.published(LEDGER_COMMAND_TOPIC.name))
        (end,) = line.published(TASKS.name)
        assert (end["type"], end["missing_count"]) == ("task.partially_delivered", 1)
        assert end["reason"] == "finishing_timed_out"
        (settle,) = line.published(LEDGER_COMMAND_TOPIC.name)
        assert (settle["amount_credits_micro"], settle["delivered_count"]) == (PRICE, 1)


async def test_a_candidate_that_waits_for_its_turn_waits_no_longer_than_the_task() -> None:
    files = StalledFiles(stalled="candidates/0")
    line = DeliveryApp(files=files, within_s=60.0, at_once_max=1)
    async with line.running():
        await line.receive(promised(line.order(*PICTURES), deadline_s=0.0, slack_s=2))
        await eventually(lambda: line.published(LEDGER_COMMAND_TOPIC.name))
        assert [event["type"] for event in line.published(TASKS.name)] == ["task.failed"]
        assert line.published(LEDGER_COMMAND_TOPIC.name)[0]["type"] == "ReleaseCredits"
        assert files.asked == ["candidates/0"]


async def test_a_selection_that_comes_after_its_time_is_failed_and_released() -> None:
    async with DeliveryApp().running() as line:
        await line.receive(promised(line.order(PICTURES[0]), deadline_s=-3600.0, slack_s=60))
        await eventually(lambda: line.published(LEDGER_COMMAND_TOPIC.name))
        assert [event["type"] for event in line.published(TASKS.name)] == ["task.failed"]
        assert line.published(LEDGER_COMMAND_TOPIC.name)[0]["type"] == "ReleaseCredits"
