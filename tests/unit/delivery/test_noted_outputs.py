"""Outputs are noted for the sweep beside their storing: whatever lies in the bucket is noted when the task ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tests.support.eventually import eventually
from tests.unit.delivery.delivery_app import PICTURES, DeliveryApp, stored_outputs
from tests.unit.delivery.fakes import MemoryFiles, MemoryIndex
from winnow.contracts.errors import Unavailable
from winnow.contracts.topics import TASKS


@dataclass
class SlowFiles(MemoryFiles):
    """A store whose puts wait for something."""

    until: Callable[[], object] = lambda: True

    async def put(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        await eventually(self.until, every_s=0.001)
        await super().put(bucket, key, body, content_type)


async def test_outputs_are_noted_while_they_are_stored() -> None:
    index = MemoryIndex()
    async with DeliveryApp(index=index, files=SlowFiles(until=lambda: index.outputs)).running() as line:
        await line.receive(line.order(*PICTURES))
        await eventually(line.is_over)
    assert {key for _, keys in index.outputs.values() for key in keys} == stored_outputs(line.files)


@dataclass
class CountingIndex(MemoryIndex):
    """An index that counts its notes and is away for the first ``failures`` of them."""

    notes: list[tuple[str, ...]] = field(default_factory=list)
    failures: int = 0

    async def note_outputs(self, task_id: str, account_id: str, keys: Sequence[str], at: datetime) -> None:
        self.notes.append(tuple(keys))
        if self.failures:
            self.failures -= 1
            raise Unavailable("away")
        await super().note_outputs(task_id, account_id, keys, at)


async def test_nothing_is_delivered_that_is_not_noted() -> None:
    index = CountingIndex(failures=2)
    async with DeliveryApp(index=index).running() as line:
        await line.receive(line.order(PICTURES[0]))
        await eventually(lambda: index.notes)
        assert line.published(TASKS.name) == []
        await eventually(line.is_over)
    assert len(set(index.notes)) == 1
    assert len(index.notes) == 3


@dataclass
class FailingPuts(MemoryFiles):
    """A store that is away for the first ``puts`` puts."""

    puts: int = 1

    async def put(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        if self.puts:
            self.puts -= 1
            raise Unavailable("away")
        await super().put(bucket, key, body, content_type)


async def test_objects_that_are_stored_at_a_later_try_are_noted_again_after_it() -> None:
    index = CountingIndex()
    async with DeliveryApp(index=index, files=FailingPuts()).running() as line:
        await line.receive(line.order(PICTURES[0]))
        await eventually(line.is_over)
    assert len(index.notes) == 2
    assert index.notes[0] == index.notes[1]


async def test_what_cannot_be_finished_does_not_hold_up_the_note_of_the_rest() -> None:
    index = CountingIndex()
    async with DeliveryApp(index=index).running() as line:
        await line.receive(line.order(PICTURES[0], b"not an image"))
        await eventually(line.is_over)
    (end,) = line.published(TASKS.name)
    assert end["type"] == "task.partially_delivered"
    assert [set(keys) for keys in index.notes] == [stored_outputs(line.files)]
