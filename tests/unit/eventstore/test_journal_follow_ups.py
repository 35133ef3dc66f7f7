"""A follow-up is decided in the block of what it follows, or not at all, and settled once in either case."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.chain import verify_chain
from tests.support.fakes.memory_journal import InterruptedStore, MemoryBus, MemoryJournalStore
from tests.unit.eventstore.builders import ADDER, SOURCE, Crash, Mortal, Sum, make_input, own_shard
from winnow.contracts.envelope import Message, RecordedMessage
from winnow.eventstore import Block, FollowUp, Input, Journal
from winnow.runtime.clock import SystemClock

BONUS = 100


class Bonuses:
    """Follows each odd total with a bonus, and notes what it hears, in order."""

    def __init__(self, journal: Journal[Sum], *, amount: int = BONUS) -> None:
        self.asked: list[str] = []
        self.heard: list[str] = []
        self._amount = amount
        journal.listen(self)
        journal.follow_up(self.follow_ups)

    def follow_ups(self, states: Mapping[str, Sum]) -> Sequence[FollowUp]:
        odd = {name: state for name, state in states.items() if state.total % 2}
        inputs = [
            make_input(f"bonus:{name}:{state.count}", self._amount, aggregate=name)
            for name, state in odd.items()
        ]
        self.asked += [input_.input_id for input_ in inputs]
        return [
            FollowUp(input_, partial(self.heard.append, f"settled {input_.input_id}")) for input_ in inputs
        ]

    def committed(self, block: Block) -> None: ...

    def changed(self, aggregate_id: str, state: Sum, recorded: Sequence[RecordedMessage[Message]]) -> None:
        self.heard.append(f"changed {recorded[0].envelope.causation_id}")

    def loaded(self, shard: str, states: Mapping[str, Sum]) -> None: ...

    def unloaded(self, shard: str) -> None: ...


async def _played(journal: Journal[Sum], records: Sequence[tuple[int, Input]]) -> None:
    journal.assign(["0"])
    running = asyncio.create_task(journal.run())
    try:
        await journal.consume("0", SOURCE, records)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _journal(store: Any) -> Journal[Sum]:
    return Journal(ADDER, store, MemoryBus(), SystemClock(), shards=4)


def _causes(chain: Sequence[Block]) -> list[list[str]]:
    return [[decision.input_id for decision in block.decisions] for block in chain]


async def test_a_follow_up_lies_in_the_block_of_what_it_follows_and_is_settled_after_the_listener() -> None:
    store = MemoryJournalStore()
    journal = _journal(store)
    bonuses = Bonuses(journal)
    await _played(journal, [(0, make_input("x", 1)), (1, make_input("y", 2, aggregate="b"))])
    assert _causes(store.chain("0")) == [["x", "y", "bonus:a:1"]]
    assert bonuses.heard == ["changed x", "changed y", "changed bonus:a:1", "settled bonus:a:1"]
    state = journal.state("a")
    assert state is not None
    assert (state.total, state.count) == (1 + BONUS, 2)


async def test_a_follow_up_that_cannot_be_decided_leaves_what_it_follows() -> None:
    store = MemoryJournalStore()
    journal = _journal(store)
    bonuses = Bonuses(journal, amount=-1)
    await _played(journal, [(0, make_input("x", 1))])
    assert _causes(store.chain("0")) == [["x"]]
    assert bonuses.heard == ["changed x", "settled bonus:a:1"]


async def test_a_fenced_follow_up_is_dropped_with_its_block_and_named_anew_from_what_stands() -> None:
    store = MemoryJournalStore()
    records = [(0, make_input("x", 1)), (1, make_input("y", 4))]
    newer = _journal(store)
    _ = Bonuses(newer)
    interrupted = InterruptedStore(store)
    interrupted.arm(partial(_played, newer, records[:1]))
    stale = _journal(interrupted)
    bonuses = Bonuses(stale)
    await _played(stale, records)
    assert _causes(store.chain("0")) == [["x", "bonus:a:1"], ["y", "bonus:a:3"]]
    assert bonuses.asked == ["bonus:a:2", "bonus:a:3"]
    assert bonuses.heard == ["settled bonus:a:2", "changed y", "changed bonus:a:3", "settled bonus:a:3"]
    assert verify_chain(store.chain("0")) is None


async def test_a_shard_that_was_given_up_has_no_follow_ups() -> None:
    store = MemoryJournalStore()
    journal = _journal(store)
    bonuses = Bonuses(journal)
    journal.revoke(["0"])
    running = asyncio.create_task(journal.run())
    await journal.consume("0", SOURCE, [(0, make_input("x", 1))])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert _causes(store.chain("0")) == [["x"]]
    assert bonuses.asked == []


@pytest.mark.parametrize("fails", [True, False])
async def test_a_follow_up_is_settled_when_the_insert_fails_or_its_shard_is_given_up_meanwhile(
    fails: bool,
) -> None:
    store = MemoryJournalStore()

    async def happens() -> None:
        if not fails:
            journal.revoke(["0"])

    interrupted = InterruptedStore(store)
    interrupted.arm(happens, fails=fails)
    journal = _journal(interrupted)
    bonuses = Bonuses(journal)
    try:
        await _played(journal, [(0, make_input("x", 1))])
    except ConnectionError:
        assert fails
    assert bonuses.heard == ["settled bonus:a:1"]
    assert _causes(store.chain("0")) == ([] if fails else [["x", "bonus:a:1"]])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=12),
    st.integers(1, 4),
    st.lists(st.integers(1, 40), max_size=3),
)
def test_a_follow_up_stands_behind_what_it_follows_when_the_owner_dies_at_any_step(
    amounts: list[int], batch: int, deaths: list[int]
) -> None:
    log = [make_input(f"c{number}", amount) for number, amount in enumerate(amounts)]
    store, bus = MemoryJournalStore(), MemoryBus()

    async def own(store: Any, bus: Any) -> None:
        journal: Journal[Sum] = Journal(ADDER, store, bus, SystemClock(), shards=4)
        _ = Bonuses(journal)
        await own_shard(journal, log, batch)

    for step in deaths:
        steps = [step]
        try:
            asyncio.run(own(Mortal(store, steps), Mortal(bus, steps)))
        except BaseExceptionGroup as group:
            assert group.subgroup(Crash) is not None
        except Crash:
            pass
    asyncio.run(own(store, bus))

    chain = store.chain("0")
    assert verify_chain(chain) is None
    causes = _causes(chain)
    decided = [cause for block in causes for cause in block]
    assert [cause for cause in decided if cause.startswith("c")] == [input_.input_id for input_ in log]
    assert len(decided) == len(set(decided))
    total = 0
    for block in chain:
        for decision in block.decisions:
            total += sum(e.document()["amount"] for e in decision.entries if e.type == "test.added")
        has_bonus = block.decisions[-1].input_id.startswith("bonus")
        before = total - BONUS * has_bonus
        assert has_bonus == bool(before % 2)
