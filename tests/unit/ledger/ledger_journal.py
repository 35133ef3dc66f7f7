"""A journal of the ledger in memory, fed with commands."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from services.ledger.bus import TABLE
from services.ledger.domain.account import Account
from services.ledger.domain.decide import DECIDER
from services.ledger.projections import EntryFeed
from tests.support.clock import SetClock
from tests.support.fakes.memory_journal import MemoryBus
from tests.unit.ledger.builders import ACCOUNT, START, grant, refund, release, reserve, settle
from winnow.adapters.partitions import Source
from winnow.contracts.commands import LedgerCommand
from winnow.contracts.envelope import Envelope, RecordedMessage
from winnow.contracts.events import EntryRecorded
from winnow.contracts.ids import Prefix, derive_id, shard_of
from winnow.contracts.topics import ACCOUNTS
from winnow.eventstore import Input, Journal, JournalStore
from winnow.eventstore.model import content_fingerprint

SHARDS = 4
SHARD = str(shard_of(ACCOUNT, SHARDS))
SOURCE = Source("commands", int(SHARD))


def input_of(command: LedgerCommand) -> Input:
    envelope = Envelope(
        event_id=derive_id(Prefix.event, command.command_id),
        occurred_at=START,
        producer="ingest",
        subject=command.account_id,
        sequence=0,
        correlation_id="c",
        causation_id="c",
    )
    recorded = RecordedMessage(envelope, command)
    input_ = TABLE[command.type](recorded, content_fingerprint(recorded.encode()))
    assert input_ is not None
    return input_


@contextlib.asynccontextmanager
async def running(
    store: JournalStore, bus: MemoryBus, clock: SetClock, feed: EntryFeed | None = None
) -> AsyncIterator[Journal[Account]]:
    journal = Journal(DECIDER, store, bus, clock, shards=SHARDS, listener=feed)
    task = asyncio.create_task(journal.run())
    try:
        yield journal
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def feed_all(journal: Journal[Account], commands: Sequence[LedgerCommand], batch: int) -> None:
    """Consume a log from its start, as after a restart, in batches."""
    at = 0
    while at < len(commands):
        part = [(at + index, input_of(command)) for index, command in enumerate(commands[at : at + batch])]
        consumed = await journal.consume(SHARD, SOURCE, part)
        assert consumed.failed is None
        at = consumed.next_offset
    await journal.drain()


def published(bus: MemoryBus, topic: str) -> list[dict[str, object]]:
    """Return each published event of a topic once, in the order of its first appearance."""
    found: dict[str, dict[str, object]] = {}
    for to, _, _, body in bus.messages:
        if to == topic:
            document = json.loads(body)
            assert found.setdefault(document["event_id"], document) == document
    return list(found.values())


def entries_of(bus: MemoryBus) -> list[EntryRecorded]:
    return [EntryRecorded.model_validate(entry) for entry in published(bus, ACCOUNTS.name)]


STORY = [
    grant("a", 100, source="promo", expires_at=START + timedelta(days=9)),
    grant("b", 1000),
    reserve(1, 300),
    reserve(2, 900),
    settle(1, 200),
    refund(1, 50),
    release(3),
    reserve(3, 10),
    reserve(4, 100),
    release(4, reason="cancelled"),
    settle(4, 100),
]
