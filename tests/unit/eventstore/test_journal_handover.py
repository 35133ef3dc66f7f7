"""A shard changes hands: nothing is left behind, nobody fails, and what another owns is read as it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.support.fakes.memory_journal import MemoryBus, MemoryJournalStore
from tests.unit.eventstore.builders import ADDER, SOURCE, Sum, make_input, running
from winnow.adapters.partitions import Source
from winnow.contracts.envelope import Message, RecordedMessage
from winnow.eventstore import Block, Journal
from winnow.runtime.clock import SystemClock

CALLS = ["head", "folded_to", "open_states", "states", "insert", "known_inputs"]


class Watching:
    """A listener that holds what it was told, as services do."""

    def __init__(self) -> None:
        self.held: dict[str, Sum] = {}

    def committed(self, block: Block) -> None:
        assert block.decisions

    def changed(self, aggregate_id: str, state: Sum, recorded: Sequence[RecordedMessage[Message]]) -> None:
        self.held[aggregate_id] = state

    def loaded(self, shard: str, states: Mapping[str, Sum]) -> None:
        self.held |= states

    def unloaded(self, shard: str) -> None:
        self.held.clear()


class RevokesDuring:
    """A store in whose ``call``, the ``nth`` time, shard 0 is taken from the journal."""

    def __init__(self, call: str, nth: int) -> None:
        self._inner = MemoryJournalStore()
        assert hasattr(self._inner, call), "nothing would be revoked"
        self._call = call
        self._left = nth
        self.journal: Journal[Sum] | None = None

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._inner, name)

        async def calling(*args: Any, **kwargs: Any) -> Any:
            result = await call(*args, **kwargs)
            self._left -= name == self._call
            if name == self._call and self._left == 0 and self.journal is not None:
                self.journal.revoke(["0"])
            return result

        return calling


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_nothing_is_held_of_a_shard_that_was_given_up_meanwhile(call: str, nth: int) -> None:
    store, listener = RevokesDuring(call, nth), Watching()
    journal = Journal(ADDER, store, MemoryBus(), SystemClock(), shards=4, listener=listener)
    store.journal = journal
    journal.assign(["0", "1"])
    writing = asyncio.create_task(journal.run())
    try:
        async with asyncio.timeout(5):
            for offset in range(4):
                of_zero = [(offset, make_input(f"a{offset}", 1 + offset, aggregate=f"a{offset}"))]
                of_one = [(offset, make_input(f"b{offset}", 1 + offset, aggregate=f"b{offset}"))]
                await asyncio.gather(
                    journal.consume("0", SOURCE, of_zero),
                    journal.consume("1", Source("commands", 1), of_one),
                )
            await journal.drain()
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)

    kept_of_zero = {aggregate_id for aggregate_id in listener.held if aggregate_id.startswith("a")}
    assert not kept_of_zero or journal.owns("0")
    assert not [
        aggregate_id for aggregate_id in journal.owned() if aggregate_id.startswith("a")
    ] or journal.owns("0")
    assert len(store._inner.chain("0")) == len(store._inner.chain("1")) == 4


async def test_records_that_come_after_a_revoke_do_not_take_the_shard_back() -> None:
    store = MemoryJournalStore()
    async with running(store, MemoryBus()) as former, running(store, MemoryBus()) as owner:
        await former.consume("0", SOURCE, [(0, make_input("a", 1))])
        former.revoke(["0"])
        await former.consume("0", SOURCE, [(1, make_input("b", 2))])

        assert not former.owns("0")
        assert former.state("a") is None
        await owner.consume(
            "0", SOURCE, [(0, make_input("a", 1)), (1, make_input("b", 2)), (2, make_input("c", 4))]
        )
        former.assign(["0"])
        assert former.owns("0")


async def test_the_state_of_another_owner_is_read_as_its_newest_block_leaves_it() -> None:
    store = MemoryJournalStore()
    shard = Journal(ADDER, store, MemoryBus(), SystemClock(), shards=4).shard_of("a")
    async with running(store, MemoryBus(), [shard]) as owner, running(store, MemoryBus(), []) as other:
        assert await other.read_state("a") is None
        await owner.submit(make_input("x", 1))
        await owner.submit(make_input("of another", 4, aggregate="b"), shard=shard)
        assert await other.read_state("a") == owner.state("a")
        await owner.save()
        assert await other.read_state("a") == owner.state("a")
        await owner.submit(make_input("y", 2))
        assert await other.read_state("a") == owner.state("a")
        assert owner.state("a").total == 3
