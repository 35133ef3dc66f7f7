"""Finishing begins with the decision of a selection: nothing of it counts before the commit, and a death at any step costs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from tests.support.clock import SetClock
from tests.support.eventually import eventually
from tests.support.fakes.memory_journal import MemoryJournalStore
from tests.unit.delivery.builders import NOW, PRICE, endpoint
from tests.unit.delivery.delivery_app import PICTURES, DeliveryApp, stored_outputs
from tests.unit.delivery.fakes import MemoryFiles
from winnow.contracts.topics import LEDGER_COMMAND_TOPIC, TASKS
from winnow.eventstore import Block
from winnow.eventstore.store import CommitResult

OBJECTS = 2 * len(PICTURES)
CALLS = {"insert", "get", "put", "note_outputs"}


@dataclass
class Life:
    """A process that dies at its ``left``-th step: it calls nothing any more, and no call returns to it."""

    left: int
    dead: asyncio.Event = field(default_factory=asyncio.Event)

    async def step(self) -> None:
        self.left -= 1
        if self.left <= 0:
            self.dead.set()
            await asyncio.Event().wait()


class Mortal:
    """A store as a process that may die sees it; ``waits`` holds a call back until something is true."""

    def __init__(self, inner: Any, life: Life, **waits: Callable[[], object]) -> None:
        self._inner = inner
        self._life = life
        self._waits = waits

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if name not in CALLS:
            return value

        async def call(*args: Any, **kwargs: Any) -> Any:
            if name in self._waits:
                await eventually(self._waits[name], every_s=0.001)
            await self._life.step()
            result = await value(*args, **kwargs)
            await self._life.step()
            return result

        return call


async def dies_at(step: int, *, commit_first: bool) -> bool:
    """Deliver a task in two processes, the first of which dies at a step; return whether it did."""
    second, life = DeliveryApp(), Life(step)
    blocks, files, index = second.journal_store, second.files, second.index
    if commit_first:
        mortal = Mortal(blocks, life), Mortal(files, life, get=lambda: blocks.blocks)
    else:
        mortal = (
            Mortal(blocks, life, insert=lambda: index.outputs and len(stored_outputs(files)) == OBJECTS),
            Mortal(files, life),
        )
    first = DeliveryApp(
        journal_store=mortal[0],  # type: ignore[arg-type]
        files=mortal[1],  # type: ignore[arg-type]
        index=Mortal(index, life),  # type: ignore[arg-type]
        bus=second.bus,
        killed=True,
    )
    order = second.order(*PICTURES)
    async with first.running():
        receiving = asyncio.create_task(first.receive(order))
        await eventually(lambda: life.dead.is_set() or first.is_over(), every_s=0.002)
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
    async with second.running():
        await second.receive(order)
        await eventually(second.is_over, every_s=0.002)

    ends = {event["event_id"]: event for event in second.published(TASKS.name)}
    settled = {
        command["command_id"]: command["amount_credits_micro"]
        for command in second.published(LEDGER_COMMAND_TOPIC.name)
    }
    assert [end["type"] for end in ends.values()] == ["task.delivered"]
    assert list(settled.values()) == [PRICE * len(PICTURES)]
    causes = [[decision.input_id for decision in block.decisions] for block in blocks.blocks.values()]
    assert [len(of_block) for of_block in causes] == [1] * 4, "the result has a block of its own"
    (end,) = ends.values()
    delivered = {output[part]["key"] for output in end["outputs"] for part in ("stored", "thumbnail")}
    assert delivered == stored_outputs(files) == {key for _, keys in index.outputs.values() for key in keys}
    second.clock.pass_s(2 * 86_400)
    await second.outputs.sweep()
    assert stored_outputs(files) == set()
    return life.dead.is_set()


@pytest.mark.parametrize("commit_first", [False, True], ids=["objects before the commit", "after it"])
async def test_a_task_is_delivered_once_wherever_its_process_dies(commit_first: bool) -> None:
    step = 1
    while await dies_at(step, commit_first=commit_first):
        step += 1
    # Four blocks, two candidates read, four objects, one note; each may be the last before its effect or after it.
    assert step == 2 * (4 + 2 + 4 + 1) + 1


@dataclass
class HeldStore(MemoryJournalStore):
    """A store whose inserts wait and then end as they are told: all, or those that hold a type of message."""

    holds: str = ""
    held: int = 0
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    failures: int = 0

    async def insert(self, blocks: Sequence[Block]) -> dict[str, CommitResult]:
        if not self.holds or self.holds in str(blocks):
            self.held += 1
            await self.let_go.wait()
        if self.failures:
            self.failures -= 1
            raise OSError
        return await super().insert(blocks)


async def test_the_result_waits_for_the_commit_of_its_selection() -> None:
    store = HeldStore()
    async with DeliveryApp(journal_store=store, killed=True).running() as line:
        receiving = asyncio.create_task(line.receive(line.order(*PICTURES)))
        await eventually(lambda: line.index.outputs and len(stored_outputs(line.files)) == OBJECTS)
        assert (line.state(), line.bus.messages, store.blocks) == (None, [], {})
        store.let_go.set()
        await receiving
        await eventually(line.is_over)
    assert len(line.published(TASKS.name)) == 1


async def test_a_selection_whose_insert_failed_is_finished_again_with_the_same_objects() -> None:
    store = HeldStore(failures=1)
    async with DeliveryApp(journal_store=store, killed=True).running() as line:
        receiving = asyncio.create_task(line.receive(line.order(*PICTURES)))
        await eventually(lambda: line.index.outputs)
        stored = stored_outputs(line.files)
        store.let_go.set()
        with pytest.raises(OSError):
            await receiving
        assert (line.state(), line.bus.messages) == (None, [])
        line.offsets.clear()
        await line.receive(line.order(*PICTURES))
        await eventually(line.is_over)
        assert stored_outputs(line.files) == stored
    assert [event["type"] for event in line.published(TASKS.name)] == ["task.delivered"]


async def test_a_webhook_is_not_sent_before_its_attempt_is_committed() -> None:
    store = HeldStore(holds="delivery.webhooks_planned")
    line = DeliveryApp(journal_store=store, killed=True)
    line.endpoints.kept[endpoint().endpoint_id] = endpoint()
    async with line.running():
        await line.receive(line.order(PICTURES[0]))
        await eventually(lambda: store.held)
        for _ in range(100):
            await asyncio.sleep(0)
        assert line.sender.requests == []
        store.let_go.set()
        await eventually(line.is_over)
    assert len(line.sender.requests) == 1


@dataclass
class HeldFiles(MemoryFiles):
    """A store whose puts never end: it counts those that are under way and those that were given up."""

    under_way: int = 0
    given_up: int = 0

    async def put(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        self.under_way += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise


async def test_a_fenced_owner_gives_up_what_it_began_and_the_new_owner_delivers() -> None:
    store, files, new = HeldStore(), HeldFiles(), DeliveryApp()
    new.journal_store.blocks = store.blocks
    # Two owners never decide at the same moment; with one clock their blocks would be equal to the byte.
    clock = SetClock(NOW + timedelta(seconds=1))
    old = DeliveryApp(clock, journal_store=store, files=files, killed=True)
    order = new.order(*PICTURES)
    files.objects = dict(new.files.objects)
    async with old.running(), new.running():
        receiving = asyncio.create_task(old.receive(order))
        await eventually(lambda: files.under_way == OBJECTS)
        await new.receive(order)
        await eventually(new.is_over)
        store.let_go.set()
        await receiving
        assert files.given_up == OBJECTS
        assert old.state() == new.state()
        assert old.bus.messages == []
    assert len(new.published(TASKS.name)) == len(new.published(LEDGER_COMMAND_TOPIC.name)) == 1
