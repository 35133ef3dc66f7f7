"""The books in the journal: redelivery, repeats, restarts and two owners leave one set of entries."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.ledger.bus import TABLE
from services.ledger.domain.account import Account
from tests.support.chain import verify_chain
from tests.support.clock import SetClock
from tests.support.eventually import eventually
from tests.support.fakes.memory_journal import MemoryBus, MemoryJournalStore
from tests.unit.ledger.books import balance_of, check_postings
from tests.unit.ledger.builders import ACCOUNT, START, grant, reserve, rsv, settle
from tests.unit.ledger.ledger_journal import (
    SHARD,
    SOURCE,
    STORY,
    entries_of,
    feed_all,
    input_of,
    published,
    running,
)
from winnow.contracts.commands import LEDGER_COMMANDS, LedgerCommand
from winnow.contracts.events import EntryRecorded, TaskFunded, TaskSettled
from winnow.contracts.topics import TASKS
from winnow.eventstore import InputReused, Journal


def test_every_command_has_its_row() -> None:
    assert set(TABLE) == {command_type.type_name() for command_type in LEDGER_COMMANDS}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(STORY), max_size=25),
    st.integers(1, 8),
    st.integers(1, 8),
)
def test_any_redelivery_in_any_batches_leaves_the_same_entries(
    extra: list[LedgerCommand], batch: int, other_batch: int
) -> None:
    async def entries(
        log: Sequence[LedgerCommand], size: int, restarts: int
    ) -> tuple[list[EntryRecorded], Account]:
        store, bus, clock = MemoryJournalStore(), MemoryBus(), SetClock(START)
        account = None
        for _ in range(restarts):
            async with running(store, bus, clock) as journal:
                await feed_all(journal, log, size)
                account = await journal.read_state(ACCOUNT)
        assert verify_chain(store.chain(SHARD)) is None
        assert account is not None
        return entries_of(bus), account

    once, state = asyncio.run(entries(STORY, batch, 1))
    again, replayed = asyncio.run(entries([*STORY, *extra], other_batch, 3))
    assert again == once
    assert replayed == state
    check_postings(once)
    assert balance_of(once) == (state.left_credits_micro, state.held_credits_micro)


async def test_two_owners_of_one_shard_write_one_set_of_books() -> None:
    store, bus, clock = MemoryJournalStore(), MemoryBus(), SetClock(START)
    log = [
        grant("a", 500),
        *(reserve(name, 100) for name in range(8)),
        *(settle(name, 60) for name in range(8)),
    ]

    async def own(batch: int) -> Account:
        async with running(store, bus, clock) as journal:
            await feed_all(journal, log, batch)
            state = await journal.read_state(ACCOUNT)
            assert state is not None
            return state

    await asyncio.gather(own(1), own(2), own(3))
    final = await own(5)
    assert verify_chain(store.chain(SHARD)) is None
    entries = entries_of(bus)
    assert final.settled_credits_micro == 300
    assert sorted(entry.entry_id for entry in entries) == sorted({entry.entry_id for entry in entries})
    assert balance_of(entries) == (200, 0)
    funded = [event for event in published(bus, TASKS.name) if event["type"] == TaskFunded.type_name()]
    assert len(funded) == 5


async def test_command_id_with_another_amount_is_a_conflict_and_the_books_stand() -> None:
    store, bus, clock = MemoryJournalStore(), MemoryBus(), SetClock(START)
    first = grant("a", 100)
    async with running(store, bus, clock) as journal:
        forged = first.model_copy(update={"amount_credits_micro": 900})
        consumed = await journal.consume(SHARD, SOURCE, [(0, input_of(first)), (1, input_of(forged))])
        await journal.drain()
        state = journal.state(ACCOUNT) or await journal.read_state(ACCOUNT)
    assert isinstance(consumed.failed, InputReused)
    assert state is not None
    assert state.left_credits_micro == 100


async def test_time_alone_ends_what_is_due() -> None:
    store, bus, clock = MemoryJournalStore(), MemoryBus(), SetClock(START)
    async with running(store, bus, clock) as journal:
        await feed_all(journal, [grant("a", 100), reserve(1, 100, expires_at=START + timedelta(days=1))], 10)
        clock.at = START + timedelta(days=1)
        await feed_all_later(journal, [grant("b", 1)])

        def settled() -> list[dict[str, object]]:
            return [event for event in published(bus, TASKS.name) if event["type"] == TaskSettled.type_name()]

        (bill,) = await eventually(settled)
    assert (bill["reservation_id"], bill["released_credits_micro"]) == (rsv(1), 100)
    assert balance_of(entries_of(bus)) == (101, 0)


async def feed_all_later(journal: Journal[Account], commands: Sequence[LedgerCommand]) -> None:
    for command in commands:
        await journal.submit(input_of(command), shard=SHARD)
