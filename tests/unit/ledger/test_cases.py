"""Cases of docs/ledger.md that no other test shows: at the edge, in the journal, and what stays true of any story."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ledger.domain.account import Account
from services.ledger.domain.decide import DECIDER
from services.ledger.domain.records import CommandRefused
from tests.support.clock import SetClock
from tests.support.fakes.memory_journal import MemoryBus, MemoryJournalStore
from tests.unit.ledger.books import Books, balance_of
from tests.unit.ledger.builders import ACCOUNT, START, grant, grt, refund, release, reserve, settle, task
from tests.unit.ledger.ledger_journal import (
    SHARD,
    SHARDS,
    SOURCE,
    STORY,
    entries_of,
    feed_all,
    input_of,
    running,
)
from winnow.contracts.chart_of_accounts import available_of
from winnow.contracts.commands import LedgerCommand
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import EntryRecorded
from winnow.contracts.ids import Prefix, derive_id, shard_of
from winnow.contracts.topics import route
from winnow.eventstore import InputReused
from winnow.eventstore.codec import Cached, Codec
from winnow.eventstore.entities import Known, Overlay

DAY = timedelta(days=1)


# The edge.


@pytest.mark.parametrize("command", [grant("a", 1), reserve("t", 1), refund("t", 1)])
def test_an_amount_of_nothing_is_refused_at_the_edge_except_for_a_settlement(command: LedgerCommand) -> None:
    with pytest.raises(ValueError, match="amount_credits_micro"):
        type(command).model_validate({**command.model_dump(), "amount_credits_micro": 0})
    assert settle("t", 0).amount_credits_micro == 0


def test_settlement_without_a_reservation_writes_no_entry() -> None:
    books = Books()
    books.do(grant("a", 1000))
    before = books.account
    (refused,) = books.do(settle("t", 10))
    assert isinstance(refused, CommandRefused)
    assert refused.code is ErrorCode.reservation_unknown
    assert books.account == before


# Expiry between the steps of a task.


def test_grant_that_expires_after_the_reserve_still_pays_for_the_task() -> None:
    books = Books()
    books.do(grant("a", 100, expires_at=START + DAY))
    books.do(reserve("t", 100))
    books.pass_time(2 * DAY)
    books.tick()
    assert (books.available, books.held) == (0, 100)
    books.do(settle("t", 70))
    (bill,) = books.settled("t")
    assert (bill.settled_credits_micro, bill.released_credits_micro) == (70, 30)
    # The rest comes back as a grace grant: not the customer's doing.
    assert (books.left("a"), books.available) == (0, 30)


def test_grant_that_expires_between_quote_and_reserve_does_not_pay() -> None:
    books = Books()
    books.do(grant("soon", 60, expires_at=START + DAY))
    books.do(grant("late", 100))
    assert books.available == 160
    books.pass_time(DAY)
    books.do(reserve("t", 100))
    (held,) = books.account.open.values()
    assert [part.grant_id for part in held.slices] == [grt("late")]


# The journal.


async def chain_of(store: MemoryJournalStore, log: Sequence[LedgerCommand], batch: int = 3) -> Account:
    """Feed a log from its start, save, and return the account."""
    async with running(store, MemoryBus(), SetClock(START)) as journal:
        await feed_all(journal, log, batch)
        state = await journal.read_state(ACCOUNT)
        assert state is not None
        return state


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, len(STORY) - 1), min_size=1, max_size=4), st.integers(1, 6))
def test_a_suffix_of_the_commands_again_leaves_the_head_as_it_is(suffixes: list[int], batch: int) -> None:
    async def head() -> None:
        store = MemoryJournalStore()
        await chain_of(store, STORY)
        before = store.chain(SHARD)[-1]
        for start in suffixes:
            async with running(store, MemoryBus(), SetClock(START + DAY)) as journal:
                again = [(at, input_of(command)) for at, command in enumerate(STORY)][start:]
                for first in range(0, len(again), batch):
                    await journal.consume(SHARD, SOURCE, again[first : first + batch])
                await journal.drain()
        assert store.chain(SHARD)[-1] == before

    asyncio.run(head())


async def test_command_older_than_what_is_remembered_is_decided_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("winnow.eventstore.shard.RECENT_INPUTS_MAX", 2)
    store, bus, log = MemoryJournalStore(), MemoryBus(), [*STORY, *STORY]
    async with running(store, bus, SetClock(START)) as journal:
        await feed_all(journal, log, 1)
        once = entries_of(bus)
        forged = STORY[0].model_copy(update={"amount_credits_micro": 900})
        consumed = await journal.consume(SHARD, SOURCE, [(len(log), input_of(forged))])
    assert isinstance(consumed.failed, InputReused)
    assert entries_of(bus) == once
    assert len({decision.input_id for block in store.chain(SHARD) for decision in block.decisions}) == sum(
        len(block.decisions) for block in store.chain(SHARD)
    )
    fresh = MemoryBus()
    async with running(MemoryJournalStore(), fresh, SetClock(START)) as journal:
        await feed_all(journal, STORY, 4)
    assert [entry.entry_id for entry in entries_of(fresh)] == [entry.entry_id for entry in once]


async def test_state_is_the_same_from_the_first_block_or_from_any_kept_one() -> None:
    store = MemoryJournalStore()
    final = await chain_of(store, STORY, batch=1)
    codec = Codec(DECIDER, route)
    held = Cached(codec.decider.initial(ACCOUNT))
    entities: dict[str, Known[Any]] = {}
    chain = store.chain(SHARD)
    assert len(chain) > 5
    for number in range(len(chain) + 1):
        # What an owner finds whose states were saved at block `number`, or never.
        kept = MemoryJournalStore(blocks=store.blocks)
        if number:
            block = chain[number - 1]
            overlay = Overlay(block.block_no, entities, {})
            for decision in block.decisions:
                held = codec.fold(held, decision, block.block_no, overlay)
            entities |= overlay.changed
            assert codec.entities is not None
            rows = [codec.entities.stored(key, SHARD, known) for key, known in entities.items()]
            await kept.save([codec.dump(ACCOUNT, SHARD, held)], {SHARD: number}, {}, rows)
        async with running(kept, MemoryBus(), SetClock(START)) as journal:
            journal.assign([SHARD])
            # A record from before, so that the shard is loaded.
            await journal.consume(SHARD, SOURCE, [(0, input_of(STORY[0]))])
            await journal.drain()
            assert await journal.read_state(ACCOUNT) == final
        assert kept.kept_entities == store.kept_entities
    assert held.state == final


async def test_accounts_of_a_shard_do_not_feel_each_other() -> None:
    other = next(
        account for name in "abcdefghijklmnop" if str(shard_of(account := f"acct_{name}", SHARDS)) == SHARD
    )
    theirs = [
        command.model_copy(
            update={"account_id": other, "command_id": derive_id(Prefix.command, other, command.command_id)}
        )
        for command in STORY
    ]
    alone = await chain_of(MemoryJournalStore(), STORY)
    mixed = [command for pair in zip(theirs, STORY, strict=True) for command in pair]
    for log in (mixed, [*theirs, *STORY], [*STORY, *theirs]):
        assert await chain_of(MemoryJournalStore(), log) == alone


# Whatever the story: the journal takes each command once, so here none comes twice.

STORIES = st.lists(st.sampled_from(STORY), unique_by=lambda command: command.command_id)


@settings(max_examples=60, deadline=None)
@given(STORIES, st.integers(2, 1000))
def test_amounts_scaled_scale_every_balance(story: list[LedgerCommand], factor: int) -> None:
    plain, scaled = Books(), Books()
    for command in story:
        plain.do(command)
        scaled.do(_scaled(command, factor))
    assert (scaled.available, scaled.held) == (plain.available * factor, plain.held * factor)
    assert [event.amount_credits_micro for event in scaled.all(EntryRecorded)] == [
        event.amount_credits_micro * factor for event in plain.all(EntryRecorded)
    ]


def _scaled(command: LedgerCommand, factor: int) -> LedgerCommand:
    names = ("amount_credits_micro", "price_per_output_credits_micro")
    return command.model_copy(
        update={name: getattr(command, name) * factor for name in names if hasattr(command, name)}
    )


@settings(max_examples=60, deadline=None)
@given(STORIES)
def test_entries_of_a_task_sum_to_what_it_cost(story: list[LedgerCommand]) -> None:
    """The bill of a task is explained by its entries: reserved, given back, refunded, and nothing else."""
    books = Books()
    for command in [*story, *(release(name, by="sweep") for name in range(1, 5))]:
        books.do(command)
    moved: dict[str | None, int] = defaultdict(int)
    for entry in books.all(EntryRecorded):
        moved[entry.task_id] += sum(
            posting.amount_micro for posting in entry.postings if posting.account == available_of(ACCOUNT)
        )
    for name in range(1, 5):
        charged = sum(settlement.settled_credits_micro for settlement in books.settled(name))
        back = sum(
            event.amount_credits_micro
            for event in books.all(EntryRecorded)
            if event.kind == "refund" and event.task_id == task(name)
        )
        assert moved[task(name)] == back - charged
    assert sum(moved.values()) == balance_of(books.all(EntryRecorded))[0]
