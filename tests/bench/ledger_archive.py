"""A ledger's journal of any length, decided by the real rules in the real encoding, and archived as a line would."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from services.ledger.domain.decide import DECIDER
from winnow.audit.archiving import ArchiveWriter
from winnow.audit.blob_store import LocalBlobs
from winnow.audit.lanes import journal_lane
from winnow.contracts.commands import GrantCredits, LedgerCommand, ReserveCredits, SettleCredits
from winnow.contracts.envelope import Message
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.topics import route
from winnow.contracts.values import ProviderCost
from winnow.eventstore import Block, Input
from winnow.eventstore.codec import Codec
from winnow.eventstore.shard import ShardMemory, UnitOfWork
from winnow.runtime.clock import SystemClock

START = datetime(2026, 1, 1, tzinfo=UTC)
PRICE = 100_000
CAUSES_PER_BLOCK = 200
ACCOUNTS_PER_SHARD = 500


@dataclass(frozen=True, slots=True)
class Made:
    """A shard's part: how much it holds, and a hash over every live state as the service keeps it."""

    shard: str
    entries_count: int
    events_count: int
    blocks_count: int
    live_sha256: str


def commands(shard: str, tasks_count: int) -> Iterator[LedgerCommand]:
    """Yield grants, then tasks over the accounts in turn: reserved in one block, settled in a later one."""
    accounts = [f"acct_{shard}-{number}" for number in range(ACCOUNTS_PER_SHARD)]
    for account_id in accounts:
        yield GrantCredits(
            command_id=derive_id(Prefix.command, "grant", account_id),
            account_id=account_id,
            grant_id=derive_id(Prefix.grant, account_id),
            amount_credits_micro=PRICE * tasks_count,
            source="topup",
        )
    for start in range(0, tasks_count, ACCOUNTS_PER_SHARD):
        numbers = range(start, min(start + ACCOUNTS_PER_SHARD, tasks_count))
        for number in numbers:
            yield reserve(accounts[number - start], f"{shard}-{number}")
        for number in numbers:
            yield settle(accounts[number - start], f"{shard}-{number}")


def reserve(account_id: str, name: str) -> ReserveCredits:
    """Hold the price of two outputs."""
    return ReserveCredits(
        command_id=derive_id(Prefix.command, "reserve", name),
        account_id=account_id,
        reservation_id=derive_id(Prefix.reservation, name),
        task_id=derive_id(Prefix.task, name),
        amount_credits_micro=2 * PRICE,
        price_per_output_credits_micro=PRICE,
        expires_at=START + timedelta(days=365),
    )


def settle(account_id: str, name: str) -> SettleCredits:
    """Charge one output, release the other."""
    return SettleCredits(
        command_id=derive_id(Prefix.command, "settle", name),
        account_id=account_id,
        reservation_id=derive_id(Prefix.reservation, name),
        task_id=derive_id(Prefix.task, name),
        amount_credits_micro=PRICE,
        delivered_count=1,
        cost=ProviderCost(expected_usd_micro=4_000, actual_usd_micro=3_900, attempts_count=1),
        reason="delivered",
    )


def make_shard(folder: Path, shard: str, tasks_count: int) -> Made:
    """Decide and archive one shard into an archive of its own."""
    return asyncio.run(_make_shard(folder, shard, tasks_count))


async def _make_shard(folder: Path, shard: str, tasks_count: int) -> Made:
    codec = Codec(DECIDER, route)
    memory: ShardMemory[Any] = ShardMemory(shard, None)
    writer = await ArchiveWriter.on(LocalBlobs(folder), SystemClock())
    entries = events = 0
    waiting: list[LedgerCommand] = []

    async def write() -> None:
        nonlocal entries, events
        block = _decided(codec, memory, waiting)
        waiting.clear()
        kept = [entry for decision in block.decisions for entry in decision.entries]
        events += sum(not entry.is_command for entry in kept)
        entries += sum(entry.type == "entry.recorded" for entry in kept)
        await writer.add(journal_lane("ledger", shard), json.loads(json.dumps(block.to_document())))

    for command in commands(shard, tasks_count):
        waiting.append(command)
        if len(waiting) == CAUSES_PER_BLOCK:
            await write()
    if waiting:
        await write()
    await writer.finish()
    assert codec.entities is not None
    live: list[Any] = [codec.dump(key, shard, held) for key, held in memory.cached.items()]
    live += [codec.entities.stored(key, shard, known) for key, known in memory.entities.items()]
    return Made(shard, entries, events, memory.head_no, states_sha256(live))


class _Absent(dict[str, None]):
    """Nothing but what is in memory: this shard saves no entity."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> None:
        return None


def _decided(codec: Codec, memory: ShardMemory, waiting: list[LedgerCommand]) -> Block:
    now = START + timedelta(milliseconds=100 * memory.head_no)
    unit = UnitOfWork(codec, memory, {}, _Absent(), now)
    for command in waiting:
        message: Message = command
        unit.decide(Input(command.account_id, command.command_id, message, command.command_id))
    block = unit.block(memory.head_no)
    unit.apply(block)
    return block


def states_sha256(states: list) -> str:
    """Hash states and entities in the order of their names, every field to the byte."""
    digest = hashlib.sha256()
    for state in sorted(states, key=lambda state: getattr(state, "entity_id", state.aggregate_id)):
        digest.update(repr(state).encode())
    return digest.hexdigest()
