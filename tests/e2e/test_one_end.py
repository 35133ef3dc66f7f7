"""Rest of the other stories: every task that was accepted has one end in the record, in time."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from tests.support.eventually import eventually
from tests.support.servers.line import ENDS, RunningLine
from winnow.audit.records import TopicReader, connected_consumer
from winnow.contracts.topics import TASKS

SLACK: Final = timedelta(seconds=60)
"""A late end may be decided by a tick, published and marked after its deadline."""


async def task_events(line: RunningLine) -> dict[str, list[dict[str, Any]]]:
    """Read the whole record of tasks, by task id, each event once."""
    events: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    async with connected_consumer(line.kafka_bootstrap) as consumer:
        topic = TopicReader(consumer, [TASKS.name])
        await topic.begin()
        async for record in topic.read_on():
            event = json.loads(record.body)
            events[event["task_id"]][event["event_id"]] = event
    return {task_id: list(found.values()) for task_id, found in events.items()}


@pytest.mark.timeout(180)
async def test_every_task_of_this_session_has_one_end_before_its_deadline(line: RunningLine) -> None:
    async with line.client() as client:
        own = {await client.order(k=1) for _ in range(5)}
    found: dict[str, list[dict[str, Any]]] = {}

    async def all_ended() -> bool:
        nonlocal found
        found = await task_events(line)
        accepted = {key for key, events in found.items() if any(e["type"] == "task.accepted" for e in events)}
        assert own <= accepted
        without = [task_id for task_id in accepted if not ends_of(found[task_id])]
        assert not without, f"without an end: {without}"
        return True

    await eventually(all_ended, within_s=120, every_s=1.0)
    several = {key: ends_of(events) for key, events in found.items() if len(ends_of(events)) != 1}
    assert not several, f"more than one end: {several}"
    late = {key: events for key, events in found.items() if _ended_late(events)}
    assert not late, f"ended after the deadline: {sorted(late)}"


def ends_of(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events if event["type"].removeprefix("task.") in ENDS]


def _ended_late(events: list[dict[str, Any]]) -> bool:
    times = {event["type"]: datetime.fromisoformat(event["occurred_at"]) for event in events}
    accepted = next(event for event in events if event["type"] == "task.accepted")
    deadline = datetime.fromisoformat(accepted["deadline_at"])
    return any(times[end] > deadline + SLACK for end in ends_of(events))
