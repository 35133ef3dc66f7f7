"""The ledger's view of entries on a real document store: killed at any write, behind, and shared by owners."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Literal

import pytest
from pymongo.errors import AutoReconnect

from services.ledger import projections
from services.ledger.domain.decide import DECIDER
from services.ledger.projections import EntryFeed
from services.ledger.store import entries as entry_store
from services.ledger.store.entries import EntryView
from tests.support.clock import SetClock
from tests.support.database_calls import Counted
from tests.support.eventually import eventually
from tests.support.fakes.memory_journal import MemoryBus, MemoryJournalStore
from tests.unit.ledger.builders import ACCOUNT, START, grant, reserve
from tests.unit.ledger.ledger_journal import SHARD, SHARDS, STORY, feed_all, running
from winnow.adapters.mongo import Mongo
from winnow.contracts.commands import LedgerCommand
from winnow.eventstore import Block, MongoJournalStore
from winnow.eventstore.model import state_format_of
from winnow.local.stack import Addresses
from winnow.runtime.clock import random_bytes

pytestmark = pytest.mark.one_bus
Moment = Literal["before", "half", "after"]
MANY: list[LedgerCommand] = [grant("a", 1000), *(reserve(number, 10) for number in range(13))]


@pytest.fixture
async def mongo(servers: Addresses) -> AsyncIterator[Mongo]:
    connection = Mongo(servers.mongo_uri, f"test_entries_{random_bytes(4).hex()}")
    yield connection
    await connection.database.client.drop_database(connection.database.name)
    connection.close()


class Mortal:
    """A database whose process dies at its nth write: before it, when half of it is done, or before the answer.

    With ``fails`` that write fails, and the process goes on.
    """

    def __init__(self, database: Any, nth: int, moment: Moment, *, fails: bool = False) -> None:
        self._database = database
        self.left = nth
        self._moment = moment
        self._fails = fails

    def __getitem__(self, name: str) -> Any:
        return MortalCollection(self, self._database[name])

    async def write(self, call: Callable[[Sequence[Any]], Awaitable[Any]], parts: Sequence[Any]) -> Any:
        self.left -= 1
        if self.left > 0 or (self._fails and self.left < 0):
            return await call(parts)
        done = {"before": 0, "half": len(parts) // 2, "after": len(parts)}[self._moment]
        if self.left == 0 and done:
            await call(parts[:done])
        raise AutoReconnect if self._fails else asyncio.CancelledError


class MortalCollection:
    def __init__(self, life: Mortal, collection: Any) -> None:
        self._life = life
        self._collection = collection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._collection, name)

    def with_options(self, **options: Any) -> MortalCollection:
        return MortalCollection(self._life, self._collection.with_options(**options))

    async def insert_many(self, rows: Sequence[Any], *, ordered: bool) -> Any:
        return await self._life.write(
            lambda part: self._collection.insert_many(part, ordered=ordered), list(rows)
        )

    async def bulk_write(self, steps: Sequence[Any], *, ordered: bool) -> Any:
        return await self._life.write(
            lambda part: self._collection.bulk_write(part, ordered=ordered), list(steps)
        )


@asynccontextmanager
async def a_life(mongo: Mongo, view: EntryView) -> AsyncIterator[tuple[Any, EntryFeed]]:
    """Run the ledger's journal until the end of the block, which is as abrupt as a kill; its view is kept on demand."""
    store = MongoJournalStore(mongo.database, state_format=state_format_of(DECIDER))
    await store.prepare()
    feed = EntryFeed(view)
    async with running(store, MemoryBus(), SetClock(START), feed) as journal:
        yield journal, feed


async def decided_and_kept(journal: Any, feed: EntryFeed, log: Sequence[LedgerCommand]) -> None:
    """Decide a log in blocks of three commands, and keep the entries of each block before the next is decided."""
    for end in range(3, len(log) + 3, 3):
        await feed_all(journal, log[:end], 3)
        await feed.drain()


async def rows_of(mongo: Mongo) -> list[dict[str, Any]]:
    return [row async for row in mongo.database["entries"].find(sort=[("place", 1)])]


async def rows_made_again(mongo: Mongo) -> list[dict[str, Any]]:
    await mongo.database["entries"].drop()
    await mongo.database["entries_read_to"].drop()
    await EntryView(mongo.database, shards=SHARDS).catch_up(SHARD)
    return await rows_of(mongo)


@pytest.mark.parametrize("moment", ["before", "half", "after"])
@pytest.mark.parametrize("nth", range(1, 9))
async def test_a_kill_at_any_write_leaves_every_entry_once(mongo: Mongo, nth: int, moment: Moment) -> None:
    life = Mortal(mongo.database, nth, moment)
    async with a_life(mongo, EntryView(life, shards=SHARDS)) as (journal, feed):  # type: ignore[arg-type]
        with pytest.raises(asyncio.CancelledError):
            await decided_and_kept(journal, feed, STORY)
    async with a_life(mongo, EntryView(mongo.database, shards=SHARDS)) as (journal, feed):
        await feed_all(journal, STORY, 3)
        await feed.drain()
    rows = await rows_of(mongo)
    assert len({row["place"] for row in rows}) == len(rows) == 7
    assert rows == await rows_made_again(mongo)


@pytest.mark.parametrize("moment", ["before", "half", "after"])
@pytest.mark.parametrize("nth", range(1, 9))
async def test_a_write_that_fails_is_made_again(mongo: Mongo, nth: int, moment: Moment) -> None:
    life = Mortal(mongo.database, nth, moment, fails=True)
    async with a_life(mongo, EntryView(life, shards=SHARDS)) as (journal, feed):  # type: ignore[arg-type]
        await decided_and_kept(journal, feed, STORY)
        await feed.drain()
    assert life.left <= 0
    assert await rows_of(mongo) == await rows_made_again(mongo)


async def test_a_statement_has_what_is_committed_before_the_view_has_it(mongo: Mongo) -> None:
    view, elsewhere = (EntryView(mongo.database, shards=SHARDS) for _ in range(2))
    async with a_life(mongo, view) as (journal, feed):
        await feed_all(journal, MANY[:8], 2)
        await feed.drain()
        await feed_all(journal, MANY, 2)
        pages = [await each.page(ACCOUNT, limit=100, before=None) for each in (view, elsewhere)]
        parts = [
            await view.page(ACCOUNT, limit=5, before=before)
            for before in (None, pages[0][4].place, pages[0][9].place)
        ]
        kept = len(await rows_of(mongo))
        await feed.drain()
    assert kept < len(MANY)
    assert len(pages[0]) == len(MANY)
    assert [entry for part in parts for entry in part] == pages[0] == pages[1]
    assert await elsewhere.page(ACCOUNT, limit=100, before=None) == pages[0]


@pytest.mark.parametrize("kept", [0, 7, len(MANY)])
async def test_a_list_is_by_block_then_by_id_on_every_page(mongo: Mongo, kept: int) -> None:
    view = EntryView(mongo.database, shards=SHARDS)
    async with a_life(mongo, view) as (journal, feed):
        await feed_all(journal, MANY[:kept], 5)
        await feed.drain()
        await feed_all(journal, MANY, 5)
        pages = {limit: await _pages(view, limit) for limit in (1, 2, 3, 4, 5, 7, len(MANY), 100)}
        strangers = [await view.newest("acct_stranger", limit=9, after=after) for after in ("", pages[1][0])]
        await feed.drain()
    rows = sorted(await rows_of(mongo), key=lambda row: (row["place"] // 1_000_000, row["_id"]), reverse=True)
    assert list(pages.values()) == [[row["_id"] for row in rows]] * len(pages)
    assert len(rows) == len(MANY)
    assert strangers == [[], []]
    assert await view.newest(ACCOUNT, limit=9, after="ent_none") == []


async def _pages(view: EntryView, limit: int) -> list[str]:
    found: list[str] = []
    while (page := await view.newest(ACCOUNT, limit=limit, after=found[-1] if found else "")) and page:
        assert len(page) <= limit
        found += [listed.entry.entry_id for listed in page]
    return found


@pytest.mark.parametrize("drained", [False, True])
async def test_an_entry_and_those_of_a_task_are_found_for_their_account(mongo: Mongo, drained: bool) -> None:
    view = EntryView(mongo.database, shards=SHARDS)
    async with a_life(mongo, view) as (journal, feed):
        await feed_all(journal, STORY, 3)
        if drained:
            await feed.drain()
        everything = (await view.page(ACCOUNT, limit=100, before=None))[::-1]
        of_task = {
            entry.entry.task_id: await view.of_task(ACCOUNT, entry.entry.task_id or "")
            for entry in everything
        }
        found = [await view.find(ACCOUNT, entry.entry.entry_id) for entry in everything]
        hidden = await view.find("acct_stranger", everything[0].entry.entry_id)
        hidden_tasks = [await view.of_task("acct_stranger", task_id or "") for task_id in of_task]
    assert found == everything
    assert hidden is None
    assert not any(hidden_tasks)
    for task_id, entries in of_task.items():
        assert entries == [entry for entry in everything if task_id and entry.entry.task_id == task_id]


async def test_a_start_after_a_stop_reads_nothing_again(mongo: Mongo) -> None:
    async with a_life(mongo, EntryView(mongo.database, shards=SHARDS)) as (journal, feed):
        await feed_all(journal, MANY, 2)
        await feed.drain()
    counted = Counted()
    assert await EntryView(mongo.database, shards=SHARDS).catch_up(SHARD) == 0
    assert counted.calls == {"find entries_read_to": 1, "find journal": 1}


async def test_a_kill_has_a_bounded_part_of_the_journal_read_again(
    mongo: Mongo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projections, "LINGER_S", 0.0)
    monkeypatch.setattr(entry_store, "NOTED_EVERY", 6)
    store = MongoJournalStore(mongo.database)
    async with a_life(mongo, EntryView(mongo.database, shards=SHARDS)) as (journal, feed):
        task = asyncio.create_task(feed.run())
        for count in range(1, len(MANY) + 1):
            await feed_all(journal, MANY[:count], 1)
            await eventually(partial(_has, mongo, count))
        task.cancel()
    mark = await mongo.database["entries_read_to"].find_one({"_id": SHARD})
    head = await store.head(SHARD)
    assert mark is not None
    assert head is not None
    assert head.block_no - 6 < mark["block_no"] < head.block_no
    again = await EntryView(mongo.database, shards=SHARDS).catch_up(SHARD)
    assert again == head.block_no - mark["block_no"]
    assert len(await rows_of(mongo)) == len(MANY)


async def _has(mongo: Mongo, count: int) -> bool:
    return await mongo.database["entries"].count_documents({}) == count


async def test_blocks_in_hand_take_two_writes_and_no_read(mongo: Mongo) -> None:
    blocks, view = await _blocks(mongo), EntryView(mongo.database, shards=SHARDS)
    await view.catch_up(SHARD)
    counted = Counted()
    assert await view.add(blocks) == set()
    assert counted.calls == {"insert entries": 2}
    assert await view.add(blocks) == set()
    assert counted.documents == {"insert entries": len(MANY)}
    assert counted.calls == {"insert entries": 2}


async def test_a_block_after_a_missing_one_is_not_kept(mongo: Mongo) -> None:
    blocks, view = await _blocks(mongo), EntryView(mongo.database, shards=SHARDS)
    assert await view.add(blocks) == {SHARD}
    await view.catch_up(SHARD)
    assert await view.add([blocks[0], *blocks[2:]]) == {SHARD}
    assert [row["place"] // 1_000_000 for row in await rows_of(mongo)] == [1]


async def test_two_owners_who_keep_the_same_blocks_leave_each_entry_once(mongo: Mongo) -> None:
    blocks = await _blocks(mongo)
    views = [EntryView(mongo.database, shards=SHARDS) for _ in range(2)]
    for view in views:
        await view.catch_up(SHARD)
    await asyncio.gather(*(view.add(blocks) for view in views))
    assert [row["_id"] for row in await rows_of(mongo)] == [
        entry.document()["entry_id"]
        for block in blocks
        for decision in block.decisions
        for entry in decision.entries
        if entry.type == "entry.recorded"
    ]


async def _blocks(mongo: Mongo) -> list[Block]:
    """Return blocks that the journal of this database does not hold."""
    await MongoJournalStore(mongo.database).prepare()
    store = MemoryJournalStore()
    async with running(store, MemoryBus(), SetClock(START)) as journal:
        await feed_all(journal, MANY, 1)
    return store.chain(SHARD)
