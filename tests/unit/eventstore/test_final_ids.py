"""States that became final before a save are kept by their ids; a late input meets the whole state all the same."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clock import SetClock
from tests.support.fakes.memory_journal import MemoryBus, MemoryJournalStore
from tests.unit.eventstore.builders import ADDER, SOURCE, Crash, Sum, make_input
from winnow.eventstore import Decision, Input, Journal, loading

STORED = replace(ADDER, is_final=lambda state: state.total >= 10)
"""Its final states are stored, and decide late inputs as any other state does."""
LISTED = replace(STORED, stores_finals=False)
"""The same rules, without stored final states."""


@contextlib.asynccontextmanager
async def owning(store: MemoryJournalStore, build: Any = LISTED) -> AsyncIterator[Journal[Sum]]:
    journal = Journal(build, store, MemoryBus(), SetClock(), shards=1, save_every_s=3600)
    journal.assign(["0"])
    writing = asyncio.create_task(journal.run())
    try:
        yield journal
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


async def add(journal: Journal[Sum], *amounts: tuple[str, int]) -> None:
    """Decide an input for each aggregate and amount."""
    for name, amount in amounts:
        before = await journal.read_state(name)
        await journal.submit(make_input(f"{name}-{before}", amount, name), shard="0")


async def save_as_due(journal: Journal[Sum]) -> None:
    """Save as the journal does when its interval has passed."""
    await journal._snapshots.save(defers=True)


def decided(store: MemoryJournalStore) -> list[Decision]:
    return [decision for block in store.chain("0") for decision in block.decisions]


async def test_a_state_that_is_final_at_its_first_save_is_kept_by_its_id() -> None:
    store = MemoryJournalStore()
    async with owning(store) as journal:
        await add(journal, ("a", 4), ("a", 8), ("b", 1))
        await journal.save()
        assert journal.state("a") is None
        assert await journal.read_state("a") == Sum(12, 2)
    assert {name: state.state for name, state in store.kept.items()} == {
        "a": "",
        "b": '{"total":1,"count":1,"due_at":null}',
    }
    assert await store.folded_to("0") == 3


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_a_late_input_is_decided_as_on_the_stored_state(is_restarted: bool) -> None:
    stores = MemoryJournalStore(), MemoryJournalStore()
    for store, build in zip(stores, (LISTED, STORED), strict=True):
        async with owning(store, build) as journal:
            await add(journal, ("b", 1), ("a", 4), ("a", 8))
            await journal.save()
            if not is_restarted:
                await add(journal, ("a", 2))
        if is_restarted:
            async with owning(store, build) as journal:
                await add(journal, ("a", 2))
    listed, stored = map(decided, stores)
    assert [store.kept["a"].state == "" for store in stores] == [True, False]
    assert listed == stored
    assert listed[-1].seq == 3


async def test_a_state_that_was_stored_open_is_stored_when_it_is_final() -> None:
    store = MemoryJournalStore()
    async with owning(store) as journal:
        await add(journal, ("a", 4))
        await journal.save()
        await add(journal, ("a", 8))
        await journal.save()
    assert '"total":12' in store.kept["a"].state


async def test_a_late_input_makes_a_state_that_is_stored() -> None:
    store = MemoryJournalStore()
    async with owning(store) as journal:
        await add(journal, ("a", 12))
        await journal.save()
        await add(journal, ("a", 1))
        await journal.save()
    assert '"total":13' in store.kept["a"].state


async def test_a_new_open_state_waits_for_the_second_save_that_is_due() -> None:
    store = MemoryJournalStore()
    async with owning(store) as journal:
        await add(journal, ("a", 1), ("b", 11))
        await save_as_due(journal)
        assert (list(store.kept), await store.folded_to("0")) == (["b"], 0)
        await add(journal, ("c", 1))
        await save_as_due(journal)
        assert (list(store.kept), await store.folded_to("0")) == (["b", "a"], 2)
        await add(journal, ("c", 11), ("a", 11))
        await save_as_due(journal)
        assert await store.folded_to("0") == 5
    assert {name: bool(state.state) for name, state in store.kept.items()} == {
        "a": True,
        "b": False,
        "c": False,
    }
    async with owning(store) as journal:
        assert await journal.read_state("c") == Sum(12, 2)
        await add(journal, ("c", 1), ("b", 1))
        assert (journal.state("c"), journal.state("b")) == (Sum(13, 3), Sum(12, 2))


@dataclass
class _DiesInSave(MemoryJournalStore):
    """The first save stores its states and dies before it notes how far they are folded."""

    is_over: bool = False

    async def save(self, states: Any, folded_to: Any, sent_to: Any, entities: Any = ()) -> None:
        if not self.is_over:
            self.is_over = True
            await super().save(states, {}, {}, entities)
            raise Crash
        await super().save(states, folded_to, sent_to, entities)


async def test_an_owner_that_dies_between_the_ids_and_the_folds_leaves_whole_states() -> None:
    store = _DiesInSave()
    async with owning(store) as journal:
        await add(journal, ("a", 4), ("a", 8), ("b", 1))
        with pytest.raises(Crash):
            await journal.save()
    assert (store.kept["a"].state, await store.folded_to("0")) == ("", 0)
    async with owning(store) as journal:
        await add(journal, ("a", 1), ("b", 1))
        assert (journal.state("a"), journal.state("b")) == (Sum(13, 3), Sum(2, 2))
        await journal.save()
    assert '"total":13' in store.kept["a"].state


async def test_a_save_whose_answer_is_lost_is_followed_by_a_stored_state() -> None:
    store = _DiesInSave()
    async with owning(store) as journal:
        await add(journal, ("a", 12))
        with pytest.raises(Crash):
            await journal.save()
        await journal.save()
        assert journal.state("a") is None
        assert await journal.read_state("a") == Sum(12, 1)
    assert await store.folded_to("0") == 1


async def test_the_late_save_of_an_older_owner_does_not_open_a_final_state_again() -> None:
    store = MemoryJournalStore()
    async with owning(store) as older:
        await add(older, ("a", 4))
        async with owning(store) as newer:
            await add(newer, ("a", 8))
            await newer.save()
        assert store.kept["a"].state == ""
        await older.save()
    async with owning(store) as later:
        await add(later, ("b", 1))
        assert later.owned() == {"b": Sum(1, 1)}
        await add(later, ("a", 1))
        assert later.state("a") == Sum(13, 3)


async def test_a_long_journal_is_saved_while_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "BLOCKS_AT_ONCE", 2)
    monkeypatch.setattr(loading, "UNSAVED_MAX", 3)
    store = MemoryJournalStore()
    amounts = [(name, amount) for name in "abcdef" for amount in (4, 8 if name in "ace" else 1)]
    async with owning(store) as journal:
        await add(journal, *amounts, ("a", 1))
    assert store.kept == {}
    async with owning(store) as journal:
        await add(journal, ("z", 1))
        assert (await store.folded_to("0"), "a" in store.kept) == (8, True)
        assert journal.state("a") == Sum(13, 3)
        await journal.save()
        states = {name: await journal.read_state(name) for name in "abcdef"}
    assert states == {
        name: Sum(13, 3) if name == "a" else Sum(12 if name in "ce" else 5, 2) for name in "abcdef"
    }


_INPUTS = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 9)), min_size=1, max_size=25)
_SAVES = st.lists(st.sampled_from(["", "", "due", "whole", "dies", "restart"]), min_size=25, max_size=25)


@settings(max_examples=150, deadline=None)
@given(_INPUTS, _SAVES)
def test_no_decision_depends_on_which_states_are_stored(
    inputs: Sequence[tuple[str, int]], saves: Sequence[str]
) -> None:
    log = [make_input(f"c{number}", amount, name) for number, (name, amount) in enumerate(inputs)]
    listed, stored = (asyncio.run(_played(build, log, saves)) for build in (LISTED, STORED))
    assert decided(listed) == decided(stored)
    for name, state in listed.kept.items():
        assert not state.state or state == stored.kept.get(name, state)


async def _played(build: Any, log: Sequence[Input], saves: Sequence[str]) -> MemoryJournalStore:
    """Decide a log an input at a time; save, die in a save, or change the owner after some of them."""
    store, at = MemoryJournalStore(), 0
    while at < len(log):
        async with owning(store, build) as journal:
            while at < len(log):
                await journal.consume("0", SOURCE, [(at, log[at])])
                at += 1
                match saves[at - 1]:
                    case "due":
                        await save_as_due(journal)
                    case "whole":
                        await journal.save()
                    case "dies":
                        journal._snapshots.store = _DiesInSave(**vars(store))
                        with pytest.raises(Crash):
                            await save_as_due(journal)
                        break
                    case "restart":
                        break
    return store
