"""Bugs of the journal and the bus, put into the real code of this process only."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from aiokafka import TopicPartition

from tests.simulation.database import Storage
from winnow.adapters.bus import Bus
from winnow.contracts.ids import derive_id
from winnow.eventstore import model as model_module
from winnow.eventstore import outbox as outbox_module
from winnow.eventstore import shard as shard_module
from winnow.eventstore.journal import Journal
from winnow.eventstore.mongo_store import MongoJournalStore
from winnow.eventstore.shard import ShardMemory
from winnow.eventstore.store import CommitResult


def publish_before_insert() -> list[Any]:
    original = MongoJournalStore.insert

    async def insert(self: Any, blocks: Any) -> Any:
        for publisher in _PUBLISHERS.get(id(self), ()):
            for block in blocks:
                publisher.put(block)
        return await original(self, blocks)

    original_init = Journal.__init__

    def init(self: Any, decider: Any, store: Any, *args: Any, **kwargs: Any) -> None:
        original_init(self, decider, store, *args, **kwargs)
        _PUBLISHERS[id(store)] = (self._outbox,)

    return [patch.object(MongoJournalStore, "insert", insert), patch.object(Journal, "__init__", init)]


_PUBLISHERS: dict[int, tuple[Any, ...]] = {}


def commit_offsets_first() -> list[Any]:
    original = Bus._on_batch

    async def on_batch(self: Any, msg: Any) -> None:
        last: dict[Any, int] = {}
        for record in msg.raw_message:
            last[TopicPartition(record.topic, record.partition)] = record.offset + 1
        with contextlib.suppress(Exception):
            await msg.consumer.commit(last)
        await original(self, msg)

    return [patch.object(Bus, "_on_batch", on_batch)]


def drop_the_fence() -> list[Any]:
    async def results(self: Any, blocks: Any) -> Any:
        return {block.shard: CommitResult.committed for block in blocks}

    return [patch.object(MongoJournalStore, "_results_of", results)]


def dedupe_window_too_small() -> list[Any]:
    original = Storage._keys_of

    def keys_of(self: Any, name: str, row: Any) -> Any:
        return () if name == "cause_once" else original(self, name, row)

    def remember(self: Any, decisions: Any) -> None:
        for decision in list(decisions)[-1:]:
            self._recent.clear()
            self._recent[decision.input_id] = decision.fingerprint

    return [patch.object(Storage, "_keys_of", keys_of), patch.object(ShardMemory, "remember", remember)]


def lost_outbox_on_restart() -> list[Any]:
    async def unsent(self: Any, shard: str) -> list[Any]:
        return []

    return [patch.object(MongoJournalStore, "unsent", unsent)]


def replay_skips_last_block() -> list[Any]:
    original = ShardMemory.replay

    def replay(self: Any, codec: Any, blocks: Any, loaded: Any) -> None:
        original(self, codec, list(blocks)[:-1], loaded)

    return [patch.object(ShardMemory, "replay", replay)]


def wrong_order_per_key() -> list[Any]:
    original = outbox_module.Outbox._publish

    async def publish(self: Any, blocks: list[Any]) -> None:
        await original(self, [replace(block, decisions=block.decisions[::-1]) for block in blocks[::-1]])

    return [patch.object(outbox_module.Outbox, "_publish", publish)]


def accept_stale_owners_write() -> list[Any]:
    original = MongoJournalStore.insert

    async def insert(self: Any, blocks: Any) -> Any:
        results = await original(self, blocks)
        return dict.fromkeys(results, CommitResult.committed)

    return [patch.object(MongoJournalStore, "insert", insert)]


def mark_sent_before_acknowledged() -> list[Any]:
    async def publish(self: Any, blocks: list[Any]) -> None:
        for block in blocks:
            self.begin(block.shard, block.block_no)
            self._unmarked.add(block.shard)
        for block in blocks:
            for decision in block.decisions:
                for entry in decision.entries:
                    if entry.topic:
                        await self._send(entry)

    return [patch.object(outbox_module.Outbox, "_publish", publish)]


def random_event_ids() -> list[Any]:
    serial = iter(range(10**9))

    def derived(prefix: Any, *parts: Any) -> str:
        return derive_id(prefix, *parts, next(serial))

    return [patch.object(shard_module, "derive_id", derived)]


def hash_leaves_offsets_out() -> list[Any]:
    original = model_module.canonical

    def canonical(value: Any) -> bytes:
        return original({name: part for name, part in value.items() if name != "offsets"})

    return [patch.object(model_module, "canonical", canonical)]
