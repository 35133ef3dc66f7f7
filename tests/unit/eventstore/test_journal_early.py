"""Work that begins with a decision: told before the insert, decided after it, and told again when the block was refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.support.fakes.memory_journal import MemoryBus, MemoryJournalStore
from tests.unit.eventstore.builders import SOURCE, Sum, make_input, running
from winnow.contracts.envelope import Message, RecordedMessage
from winnow.eventstore import Block, Journal
from winnow.eventstore.store import CommitResult


@dataclass
class Heard:
    """A listener, and who hears of decisions early, that write down what they are told in order."""

    said: list[tuple[str, int]] = field(default_factory=list)
    on_decided: Callable[[Sum], None] = lambda _: None

    def decided(self, state: Sum) -> None:
        self.said.append(("decided", state.total))
        self.on_decided(state)

    def committed(self, block: Block) -> None:
        assert block.decisions

    def changed(self, aggregate_id: str, state: Sum, recorded: Sequence[RecordedMessage[Message]]) -> None:
        self.said.append(("changed", state.total))

    def loaded(self, shard: str, states: Mapping[str, Sum]) -> None:
        self.said.append(("loaded", len(states)))

    def unloaded(self, shard: str) -> None:
        self.said.append(("unloaded", 0))

    def listen(self, journal: Journal[Sum]) -> Heard:
        journal.listen(self, on_decided=self.decided)
        return self


@dataclass
class HeldStore(MemoryJournalStore):
    """A store whose inserts wait, or fail."""

    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    failures: int = 0

    async def insert(self, blocks: Sequence[Block]) -> dict[str, CommitResult]:
        await self.let_go.wait()
        if self.failures:
            self.failures -= 1
            raise OSError
        return await super().insert(blocks)


async def test_a_decision_is_told_before_its_block_and_the_state_after_it() -> None:
    store = HeldStore()
    async with running(store, MemoryBus()) as journal:
        heard = Heard().listen(journal)
        consuming = asyncio.create_task(
            journal.consume("0", SOURCE, [(0, make_input("x", 3)), (1, make_input("y", 4))])
        )
        await eventually(lambda: ("decided", 7) in heard.said, every_s=0.001)
        assert heard.said == [("loaded", 0), ("decided", 7)], (
            "a state is told once a block, as the block leaves it"
        )
        assert journal.state("a") is None
        store.let_go.set()
        await consuming
    assert heard.said[2:] == [("changed", 7), ("changed", 7)]


async def test_what_is_submitted_early_is_decided_in_a_later_block() -> None:
    store, submitted = HeldStore(), list[asyncio.Task[Any]]()
    async with running(store, MemoryBus()) as journal:

        def submit(state: Sum) -> None:
            if state.total == 3:
                submitted.append(asyncio.create_task(journal.submit(make_input("y", 4), shard="0")))

        Heard(on_decided=submit).listen(journal)
        consuming = asyncio.create_task(journal.consume("0", SOURCE, [(0, make_input("x", 3))]))
        await eventually(lambda: submitted, every_s=0.001)
        store.let_go.set()
        await consuming
        decided = await submitted[0]
    assert decided.state.total == 7
    assert [[decision.input_id for decision in block.decisions] for block in store.chain("0")] == [
        ["x"],
        ["y"],
    ]


async def test_after_a_failed_insert_what_was_begun_ends_and_its_result_finds_no_decision() -> None:
    store, submitted = HeldStore(failures=1), list[asyncio.Task[Any]]()
    async with running(store, MemoryBus()) as journal:
        heard = Heard(
            on_decided=lambda _: submitted.append(
                asyncio.create_task(journal.submit(make_input("y", 4), shard="0"))
            )
        ).listen(journal)
        store.let_go.set()
        with pytest.raises(OSError):
            await journal.consume("0", SOURCE, [(0, make_input("x", 3))])
        assert heard.said == [("loaded", 0), ("decided", 3), ("unloaded", 0)]
        assert (await submitted[0]).state.total == 4, "the decision that it followed was never made"


async def test_a_fenced_decision_is_told_again_on_what_the_other_owner_left() -> None:
    store = HeldStore()
    store.let_go.set()
    async with running(store, MemoryBus()) as former, running(store, MemoryBus()) as owner:
        heard = Heard().listen(former)
        await former.submit(make_input("load", 1), shard="0")
        await owner.submit(make_input("x", 10), shard="0")
        await former.submit(make_input("y", 100), shard="0")
    assert heard.said == [
        ("loaded", 0),
        ("decided", 1),
        ("changed", 1),
        ("decided", 101),
        ("unloaded", 0),
        ("loaded", 1),
        ("decided", 111),
        ("changed", 111),
    ]


@pytest.mark.parametrize("amount", [0, 3], ids=["leads to nothing", "known"])
async def test_an_input_without_a_new_decision_is_not_told(amount: int) -> None:
    async with running(MemoryJournalStore(), MemoryBus()) as journal:
        await journal.submit(make_input("x", 3), shard="0")
        heard = Heard().listen(journal)
        await journal.submit(make_input("x" if amount else "y", amount), shard="0")
    assert heard.said == []
