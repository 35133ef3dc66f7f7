"""Saves the states and entities in memory, so that a shard is loaded without folding its whole journal."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Final, Generic

from winnow.eventstore.codec import Cached, Codec
from winnow.eventstore.loading import Loader, forget
from winnow.eventstore.model import S
from winnow.eventstore.outbox import Outbox
from winnow.eventstore.ownership import Ownership
from winnow.eventstore.shard import ShardMemory
from winnow.eventstore.store import JournalStore
from winnow.runtime import metrics
from winnow.runtime.log import get_logger

_log = get_logger(__name__)
SAVE_EVERY_S: Final = 1.0
"""Greatest age of a snapshot, and so of what a process that is not its owner folds; services may allow more."""


@dataclass(slots=True)
class Snapshots(Generic[S]):
    """The saving of a journal's memory: at intervals, and at once when a shard was given up."""

    codec: Codec[S]
    store: JournalStore
    loader: Loader[S]
    ownership: Ownership[S]
    outbox: Outbox
    writing: asyncio.Lock
    """Held while states in memory change: they leave it only then."""
    every_s: float
    soon: asyncio.Event = field(default_factory=asyncio.Event)
    """Set to save without waiting for the interval."""
    _saving: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        """Save until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.every_s):
                    await self.soon.wait()
            self.soon.clear()
            try:
                await self.save()
            except Exception as error:  # noqa: BLE001 (the cache is written again later; the journal is the truth)
                _log.warning("journal.save.failed", error=type(error).__name__)

    async def save(self) -> None:
        """Keep the changed states and how far the shards are on the bus; final states leave memory."""
        # Overlapping saves would note blocks as folded whose states another of them has not stored yet.
        async with self._saving:
            await self._save()

    async def _save(self) -> None:
        decider = self.codec.decider
        memories = list(self.ownership.memories.values())
        changed = {memory: _take_changed(memory) for memory in memories if memory.dirty}
        entities = {memory: dict(memory.entities) for memory in memories}
        folded_to = {memory.name: memory.head_no for memory in changed}
        sent_to = self.outbox.take_marks()
        stored = changed if decider.stores_states else {}
        states = [
            self.codec.dump(aggregate_id, memory.name, cached)
            for memory, cached_states in stored.items()
            for aggregate_id, cached in cached_states.items()
        ]
        try:
            await self.store.save(states, folded_to, sent_to, self.loader.rows(entities))
        except BaseException:
            self.outbox.put_back(sent_to)
            for memory, cached_states in changed.items():
                memory.dirty |= set(cached_states)
            raise
        async with self.writing:
            for memory, saved in entities.items():
                forget(memory, saved)
            for memory, cached_states in changed.items():
                for key, cached in cached_states.items():
                    if memory.cached.get(key) is cached and decider.is_final(cached.state):
                        del memory.cached[key]
        metrics.JOURNAL_OPEN.set(sum(len(memory.cached) for memory in memories))


def _take_changed(memory: ShardMemory[S]) -> dict[str, Cached[S]]:
    changed = {key: memory.cached[key] for key in memory.dirty if key in memory.cached}
    memory.dirty = set()
    return changed
