"""Reservations of a released build: ended before this one's entities were, and refunded by it."""

from __future__ import annotations

import asyncio
import json

from scripts.journals import JOURNALS_FOLDER, read_blocks
from services.ledger.domain.account import Account
from services.ledger.domain.decide import DECIDER
from tests.support.clock import SetClock
from tests.support.fakes.memory_journal import MemoryBus, MemoryJournalStore
from tests.unit.ledger.ledger_journal import input_of
from winnow.contracts.commands import RefundCredits
from winnow.contracts.events import EntryRecorded, RefundRefused
from winnow.contracts.ids import Prefix, derive_id
from winnow.eventstore import Block, Journal


async def test_a_reservation_that_ended_under_a_released_build_is_refunded_up_to_its_charge() -> None:
    blocks = [Block.from_document(block) for block in read_blocks(JOURNALS_FOLDER / "0.1.0/ledger.ndjson")]
    store = MemoryJournalStore(blocks={block.block_id: block for block in blocks})
    entries = [
        EntryRecorded.model_validate(entry.document())
        for block in blocks
        for decision in block.decisions
        for entry in decision.entries
        if entry.type == EntryRecorded.type_name()
    ]
    charge = next(entry for entry in entries if entry.kind == "settle" and entry.amount_credits_micro)
    back = sum(
        entry.amount_credits_micro
        for entry in entries
        if entry.kind == "refund" and entry.reservation_id == charge.reservation_id
    )
    assert charge.task_id is not None
    assert charge.reservation_id is not None
    journal: Journal[Account] = Journal(DECIDER, store, MemoryBus(), SetClock(blocks[-1].at), shards=4)
    running = asyncio.create_task(journal.run())
    try:
        journal.assign([journal.shard_of(charge.account_id)])
        seen = []
        for number, amount in enumerate((charge.amount_credits_micro - back, 1)):
            command = RefundCredits(
                command_id=derive_id(Prefix.command, "again", number),
                account_id=charge.account_id,
                task_id=charge.task_id,
                reservation_id=charge.reservation_id,
                amount_credits_micro=amount,
                reason="test",
            )
            decided = await journal.submit(input_of(command))
            seen.append(
                {type(recorded.message) for recorded in decided.recorded} & {EntryRecorded, RefundRefused}
            )
        await journal.drain()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert seen == [{EntryRecorded}, {RefundRefused}]
    entity = store.kept_entities[f"{charge.account_id}/{charge.reservation_id}"]
    ended = json.loads(entity.body)["ended"]
    assert ended["refunded_credits_micro"] == charge.amount_credits_micro
