"""Two builds on one journal store, the older and the newer: what every store must allow them, in memory and real."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import pytest
from prometheus_client import REGISTRY as METRICS

from tests.support.chain import verify_chain
from tests.support.eventually import eventually
from tests.support.fakes.memory_journal import MemoryBus
from winnow.adapters.partitions import Consumed, Source
from winnow.contracts.decider import Decider
from winnow.contracts.envelope import Event, Message
from winnow.contracts.errors import Unavailable
from winnow.contracts.upcast import Upcaster
from winnow.eventstore import Input, Journal, ShardHeld
from winnow.eventstore.store import JournalStore
from winnow.runtime.clock import Clock, SystemClock

SOURCES = {shard: Source("commands", int(shard)) for shard in ("0", "1")}


class Added(Event):
    """The first shape: an amount in tens."""

    type: Literal["test.added"] = "test.added"
    version: Literal[1] = 1
    tens: int


class AddedUnits(Event):
    """The second shape of the same type: an amount in units."""

    type: Literal["test.added"] = "test.added"
    version: Literal[2] = 2
    units: int


class Doubled(Event):
    """A type that only the newer build knows."""

    type: Literal["test.doubled"] = "test.doubled"
    version: Literal[1] = 1


def to_units(document: dict[str, Any]) -> dict[str, Any]:
    document["units"] = 10 * document.pop("tens")
    return document


@dataclass(frozen=True, slots=True)
class Sum:
    total: int = 0


def _add_tens(state: Sum, message: object, now: datetime) -> Sequence[Message]:
    del state, now
    assert isinstance(message, int)
    return [Added(tens=message // 10)]


def _tens_added(state: Sum, event: Event, at: datetime) -> Sum:
    del at
    return replace(state, total=state.total + 10 * event.tens) if isinstance(event, Added) else state


OLDER = Decider(
    producer="adder",
    state_type=Sum,
    state_version=1,
    private_events=(Added,),
    initial=lambda _: Sum(),
    decide=_add_tens,
    evolve=_tens_added,
    is_final=lambda state: state.total >= 10_000,
)
"""Adds amounts in tens."""


def _add_units(state: Sum, message: object, now: datetime) -> Sequence[Message]:
    del state, now
    assert isinstance(message, int)
    return [AddedUnits(units=message)] if message else [Doubled()]


def _units_added(state: Sum, event: Event, at: datetime) -> Sum:
    del at
    match event:
        case AddedUnits():
            return replace(state, total=state.total + event.units)
        case Doubled():
            return replace(state, total=state.total * 2)
        case _:
            return state


NEWER = replace(
    OLDER,
    private_events=(AddedUnits, Doubled),
    upcasters=(Upcaster("test.added", 1, to_units),),
    decide=_add_units,
    evolve=_units_added,
)
"""Adds amounts in units, and doubles at 0."""

RESHAPED = replace(NEWER, state_version=2)
"""The newer rules over a state of another shape."""


@contextlib.asynccontextmanager
async def running(
    build: Decider[Sum], store: JournalStore, *, clock: Clock | None = None, **options: Any
) -> AsyncIterator[Journal[Sum]]:
    """Run a journal by the rules of a build; it saves no state by itself."""
    clock = clock or SystemClock()
    journal = Journal(build, store, MemoryBus(), clock, shards=2, save_every_s=3600, **options)
    writing = asyncio.create_task(journal.run())
    try:
        yield journal
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


def make_input(offset: int, amount: int, aggregate: str = "d") -> tuple[int, Input]:
    name = f"{aggregate}-{offset}"
    return offset, Input(aggregate, name, amount, correlation_id=name, fingerprint=str(amount))


async def consume(journal: Journal[Sum], shard: str, *items: tuple[int, Input]) -> Consumed:
    return await journal.consume(shard, SOURCES[shard], items)


def held_shards() -> float:
    return METRICS.get_sample_value("winnow_journal_held_shards") or 0.0


class JournalUpgradeSuite:
    """A subclass provides ``store``."""

    @pytest.fixture(autouse=True)
    def _quick_retries(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("winnow.eventstore.ownership.RETRY_FIRST_S", 0.02)

    @pytest.mark.parametrize("newest", [0, 5], ids=["an unknown type", "a newer version"])
    async def test_an_older_build_holds_a_shard_that_a_newer_one_wrote_and_hands_it_on_whole(
        self, store: JournalStore, newest: int
    ) -> None:
        before = held_shards()
        async with running(NEWER, store) as newer:
            await consume(newer, "0", make_input(0, 30), make_input(1, newest))
        head = await store.head("0")

        async with running(OLDER, store) as older:
            older.assign(["0", "1"])
            held, other = await asyncio.gather(
                consume(older, "0", make_input(2, 40)), consume(older, "1", make_input(0, 70, "b"))
            )
            assert (held.next_offset, held.seek, held.failed) == (2, False, None)
            assert held.held_for_s > 0
            assert other == Consumed(1)
            assert older.state("b") == Sum(70)
            assert list(older.held_shards()) == ["0"]
            assert "this build" in older.held_shards()["0"]
            assert held_shards() == before + 1
            with pytest.raises(ShardHeld):
                await older.submit(make_input(9, 50)[1], shard="0")
            with pytest.raises(Unavailable):
                await older.read_state("d")
            assert await consume(older, "1", make_input(1, 20, "b")) == Consumed(2)
            await older.save()
            assert await store.head("0") == head
            older.revoke(["0"])
            assert older.held_shards() == {}
            assert held_shards() == before

        async with running(NEWER, store) as newer:
            newer.assign(["0"])
            assert await consume(
                newer, "0", make_input(1, newest), make_input(2, 40), make_input(3, 1)
            ) == Consumed(4)
            assert newer.state("d") == Sum(30 + (30 if newest == 0 else newest) + 41)
        blocks = await store.blocks_after("0", 0)
        inputs = [decision.input_id for block in blocks for decision in block.decisions]
        assert inputs == ["d-0", "d-1", "d-2", "d-3"]
        assert verify_chain(blocks) is None

    async def test_a_held_shard_is_tried_again_until_this_build_can_read_it(
        self, store: JournalStore
    ) -> None:
        async with running(NEWER, store) as newer, running(OLDER, store) as older:
            await consume(newer, "0", make_input(0, 30), make_input(1, 0))
            older.assign(["0"])
            await eventually(older.held_shards)
            # With the newer build's state stored, no event that the older cannot read is left to be folded.
            await newer.save()
            await eventually(lambda: not older.held_shards())
            assert await consume(older, "0", make_input(2, 40)) == Consumed(3)
            assert older.state("d") == Sum(100)

    async def test_a_shard_that_is_lost_to_a_newer_build_is_held(self, store: JournalStore) -> None:
        async with running(OLDER, store) as older, running(NEWER, store) as newer:
            assert await consume(older, "0", make_input(0, 30)) == Consumed(1)
            assert await consume(newer, "0", make_input(1, 5)) == Consumed(2)
            fenced = await consume(older, "0", make_input(1, 5), make_input(2, 40))
            assert (fenced.next_offset, fenced.held_for_s > 0) == (1, True)
            assert list(older.held_shards()) == ["0"]

    async def test_a_newer_build_reads_all_that_an_older_one_wrote(self, store: JournalStore) -> None:
        async with running(OLDER, store) as older:
            await consume(older, "0", make_input(0, 30), make_input(1, 40))
        async with running(NEWER, store) as newer:
            await consume(newer, "0", make_input(2, 5))
            assert newer.state("d") == Sum(75)
            again = await newer.submit(make_input(1, 40)[1], shard="0")
            assert [recorded.message for recorded in again.recorded] == [AddedUnits(units=40)]

    async def test_a_state_of_another_shape_is_folded_from_the_journal_and_stored_anew(
        self, store: JournalStore
    ) -> None:
        async with running(NEWER, store) as newer:
            await consume(newer, "0", make_input(0, 30), make_input(1, 0), make_input(2, 20_000, "final"))
            await newer.save()
        await _misshape(store, "d")
        await _misshape(store, "final")

        async with running(RESHAPED, store) as reshaped:
            assert await reshaped.read_state("d") == Sum(60)
            reshaped.assign(["0"])
            await consume(reshaped, "0", make_input(3, 1), make_input(4, 1, "final"))
            assert reshaped.state("d") == Sum(61)
            assert reshaped.state("final") == Sum(20_001)
            await reshaped.save()
        kept = await store.states(["d", "final"])
        assert {name: (state.state, state.state_version) for name, state in kept.items()} == {
            "d": ('{"total":61}', 2),
            "final": ('{"total":20001}', 2),
        }

    async def test_a_state_that_nothing_changes_is_stored_in_its_new_shape_too(
        self, store: JournalStore
    ) -> None:
        async with running(NEWER, store) as newer:
            await consume(newer, "0", make_input(0, 30))
            await newer.save()
        async with running(RESHAPED, store) as reshaped:
            reshaped.assign(["0"])
            await eventually(lambda: reshaped.state("d") == Sum(30))
            await reshaped.save()
        kept = (await store.states(["d"]))["d"]
        assert (kept.block_no, kept.state_version) == (1, 2)

    async def test_a_stored_event_that_fits_no_version_holds_its_shard_alone(
        self, store: JournalStore
    ) -> None:
        async with running(OLDER, store) as older:
            await consume(older, "0", make_input(0, 30))
        async with running(_STRICTER, store) as stricter:
            stricter.assign(["0"])
            held, other = await asyncio.gather(
                consume(stricter, "0", make_input(1, 40)), consume(stricter, "1", make_input(0, 40, "b"))
            )
            assert (held.next_offset, held.held_for_s > 0) == (1, True)
            assert other == Consumed(1)
            assert "does not fit its version" in stricter.held_shards()["0"]


class _AddedStrictly(Event):
    type: Literal["test.added"] = "test.added"
    version: Literal[1] = 1
    tens: str


_STRICTER = replace(
    OLDER,
    private_events=(_AddedStrictly,),
    decide=lambda _state, message, _now: [_AddedStrictly(tens=str(message))],
)


async def _misshape(store: JournalStore, aggregate_id: str) -> None:
    """Store a state that says something else at the same block, as one of another shape would when misread."""
    kept = (await store.states([aggregate_id]))[aggregate_id]
    await store.save([replace(kept, state='{"total":-1}', state_version=9)], {}, {})
