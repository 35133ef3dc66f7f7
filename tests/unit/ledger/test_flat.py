"""An account stays small however many tasks it has had: its state, its start and what a decision reads.

``WINNOW_LEDGER_TASKS`` sets how many tasks are played: ten parts of them in every test run, a million in the soak.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from services.ledger.domain.account import Account
from services.ledger.domain.decide import DECIDER
from tests.support.clock import SetClock
from tests.support.fakes.memory_journal import MemoryBus, MemoryJournalStore
from tests.unit.ledger.builders import ACCOUNT, START, grant, refund, reserve, settle
from tests.unit.ledger.ledger_journal import SHARD, SHARDS, SOURCE, input_of
from winnow.contracts.commands import LedgerCommand
from winnow.eventstore import Block, Journal
from winnow.eventstore.entities import StoredEntity
from winnow.eventstore.model import Snapshot
from winnow.eventstore.store import CommitResult

TASKS = int(os.environ.get("WINNOW_LEDGER_TASKS", "2500"))
PART = 250
STATE_BYTES_MAX = 4096
CHARGE = 10


@dataclass
class Measured:
    """Cost of an account after a number of tasks."""

    tasks: int
    state_bytes: int
    entities_read: int
    """Of the last part of the tasks, of which none asks for what has ended."""
    refund_read: int
    """Of one refund of the very first task."""
    blocks_read: int
    """By a new owner at its start."""


@dataclass
class LeanStore(MemoryJournalStore):
    """Lets go of blocks that every saved state holds, and keeps entities in a file."""

    file: sqlite3.Connection = field(default_factory=lambda: sqlite3.connect(":memory:"))
    blocks_read: int = 0

    def __post_init__(self) -> None:
        """Make the table."""
        self.file.execute("create table if not exists entity (id text primary key, block integer, body text)")

    async def insert(self, blocks: Sequence[Block]) -> dict[str, CommitResult]:
        fates = await super().insert(blocks)
        for name in [key for key, block in self.blocks.items() if block.block_no <= self.folds.get(SHARD, 0)]:
            del self.blocks[name]
        return fates

    async def blocks_after(self, shard: str, block_no: int, *, limit: int = 0) -> list[Block]:
        found = await super().blocks_after(shard, block_no, limit=limit)
        self.blocks_read += len(found)
        return found

    async def entities(self, entity_ids: Iterable[str]) -> dict[str, StoredEntity]:
        found: dict[str, StoredEntity] = {}
        for entity_id in entity_ids:
            row = self.file.execute("select block, body from entity where id = ?", (entity_id,)).fetchone()
            if row:
                found[entity_id] = StoredEntity(entity_id, ACCOUNT, SHARD, row[0], row[1])
        self.entities_read += len(found)
        return found

    async def save(
        self,
        states: Sequence[Snapshot],
        folded_to: Mapping[str, int],
        sent_to: Mapping[str, int],
        entities: Sequence[StoredEntity] = (),
    ) -> None:
        self.file.executemany(
            "insert into entity values (?, ?, ?) on conflict (id) do update set block = excluded.block,"
            " body = excluded.body where entity.block < excluded.block",
            [(entity.entity_id, entity.block_no, entity.body) for entity in entities],
        )
        await super().save(states, folded_to, sent_to)

    def count(self) -> int:
        return int(self.file.execute("select count(*) from entity").fetchone()[0])


class Player:
    """Plays tasks of one account through the journal, part by part."""

    def __init__(self, store: LeanStore) -> None:
        self.store = store
        self.clock = SetClock(START)
        self.offset = 0
        self.refunds = 0

    async def owned(self, commands: Sequence[LedgerCommand]) -> None:
        """Be the owner for these commands, from the start to the last save."""
        bus = MemoryBus()
        journal: Journal[Account] = Journal(DECIDER, self.store, bus, self.clock, shards=SHARDS)
        running = asyncio.create_task(journal.run())
        for first in range(0, len(commands), 2 * PART):
            part = commands[first : first + 2 * PART]
            items = [(self.offset + index, input_of(command)) for index, command in enumerate(part)]
            consumed = await journal.consume(SHARD, SOURCE, items)
            assert consumed.failed is None
            self.offset = consumed.next_offset
            await journal.save()
            bus.messages.clear()
        await journal.drain()
        assert not any(memory.entities for memory in journal._ownership.memories.values())
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    async def tasks(self, first: int, last: int) -> None:
        """Play tasks; every fiftieth is paid from a grant of its own, which is spent then."""
        commands: list[LedgerCommand] = []
        for number in range(first, last):
            if number % 50 == 0:
                commands.append(
                    grant(f"lot-{number}", CHARGE, source="promo", expires_at=START + timedelta(days=400))
                )
            commands.append(reserve(number, CHARGE, expires_at=START + timedelta(days=300)))
            commands.append(settle(number, CHARGE))
        await self.owned(commands)

    async def measure(self, tasks: int) -> Measured:
        """Play a last part by a new owner, then refund a part of the very first task."""
        self.store.blocks_read = self.store.entities_read = 0
        await self.tasks(tasks - PART, tasks)
        entities_read, blocks_read = self.store.entities_read, self.store.blocks_read
        self.store.entities_read = 0
        self.refunds += 1
        before = self.refunded()
        await self.owned([refund(1, 1, number=self.refunds)])
        assert self.refunded() == before + 1
        state = self.store.kept[ACCOUNT].state
        return Measured(tasks, len(state), entities_read, self.store.entities_read, blocks_read)

    def refunded(self) -> int:
        kept = self.store.kept.get(ACCOUNT)
        assert kept is not None
        return int(json.loads(kept.state)["refunded_credits_micro"])


@pytest.fixture
def entities(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(tmp_path / "entities.db", isolation_level=None)) as file:
        yield file


@pytest.mark.timeout(6 * 3600 if TASKS > 10_000 else 300)
async def test_an_account_stays_flat_however_many_tasks_it_has_had(entities: sqlite3.Connection) -> None:
    store = LeanStore(file=entities)
    store.file.execute("pragma synchronous = off")
    player = Player(store)
    await player.owned([grant("paid", 100 * CHARGE * TASKS)])
    measured: list[Measured] = []
    played = 0
    for tasks in (TASKS // 10, TASKS // 2, TASKS):
        await player.tasks(played, tasks - PART)
        measured.append(await player.measure(tasks))
        played = tasks
    assert store.count() == TASKS + len(range(0, TASKS, 50))
    for reading in measured:
        assert reading.state_bytes < STATE_BYTES_MAX, measured
        assert reading.entities_read == 0, measured
        # The hold and nothing else: the grant that paid for it still has credits.
        assert reading.refund_read == 1, measured
        assert reading.blocks_read <= 1, measured
    # What is left open is nothing; numbers in the totals grow by their digits alone.
    assert measured[-1].state_bytes - measured[0].state_bytes < 64, measured
