"""A shard that is given up while the journal waits for its store leaves nothing behind and fails nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.support.memory_journal import MemoryBus, MemoryJournalStore
from tests.unit.runtime.test_journal import SOURCE, Adder, Clock, Sum, cause
from winnow.contracts.envelope import Message, Recorded
from winnow.runtime.journal import Journal, Source

CALLS = ["head", "folded_to", "open_states", "states", "insert", "known_causes"]


class Watching:
    """A listener that holds what it was told, as services do."""

    def __init__(self) -> None:
        self.held: dict[str, Sum] = {}

    def changed(self, aggregate_id: str, state: Sum, recorded: Sequence[Recorded[Message]]) -> None:
        self.held[aggregate_id] = state

    def loaded(self, shard: str, states: Mapping[str, Sum]) -> None:
        self.held |= states

    def unloaded(self, shard: str) -> None:
        self.held.clear()


class RevokesDuring:
    """A store in whose ``call``, the ``nth`` time, shard 0 is taken from the journal."""

    def __init__(self, call: str, nth: int) -> None:
        self._inner = MemoryJournalStore()
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
    journal = Journal(Adder(), store, MemoryBus(), Clock(), shards=4, listener=listener)
    store.journal = journal
    journal.assign(["0", "1"])
    running = asyncio.create_task(journal.run())
    try:
        async with asyncio.timeout(5):
            for offset in range(4):
                of_zero = [(offset, cause(f"a{offset}", 1 + offset, aggregate=f"a{offset}"))]
                of_one = [(offset, cause(f"b{offset}", 1 + offset, aggregate=f"b{offset}"))]
                await asyncio.gather(
                    journal.consume("0", SOURCE, of_zero),
                    journal.consume("1", Source("commands", 1), of_one),
                )
            await journal.drain()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    kept_of_zero = {one for one in listener.held if one.startswith("a")}
    assert not kept_of_zero or journal.owns("0")
    assert not [one for one in journal.owned() if one.startswith("a")] or journal.owns("0")
    assert len(store._inner.chain("0")) == len(store._inner.chain("1")) == 4
