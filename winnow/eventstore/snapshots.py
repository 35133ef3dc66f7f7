"""Saves the states and entities in memory, so that a shard is loaded without folding its whole journal."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Final, Generic

from winnow.eventstore.codec import Codec
from winnow.eventstore.model import S
from winnow.eventstore.outbox import Outbox
from winnow.eventstore.ownership import Ownership
from winnow.eventstore.saving import Changes
from winnow.eventstore.store import JournalStore
from winnow.runtime import metrics
from winnow.runtime.log import get_logger

_log = get_logger(__name__)
SAVE_EVERY_S: Final = 1.0
"""Interval of saves: two of them are what a process that is not the owner folds; services may allow more."""


@dataclass(slots=True)
class Snapshots(Generic[S]):
    """The saving of a journal's memory: at intervals, and at once when a shard was given up."""

    codec: Codec[S]
    store: JournalStore
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
            is_due = not self.soon.is_set()
            self.soon.clear()
            try:
                await self.save(defers=is_due)
            except Exception as error:  # noqa: BLE001 (the cache is written again later; the journal is the truth)
                _log.warning("journal.save.failed", error=type(error).__name__)

    async def save(self, *, defers: bool = False) -> None:
        """Keep the changed states and how far the shards are on the bus; final states leave memory.

        With ``defers``, states that are open and new since the last save wait for the next.
        """
        # Overlapping saves would note blocks as folded whose states another of them has not stored yet.
        async with self._saving:
            memories = list(self.ownership.memories.values())
            changed = [memory for memory in memories if memory.dirty or memory.entities]
            taken = [Changes(self.codec, memory, memory.head_no, defers=defers) for memory in changed]
            sent_to = self.outbox.take_marks()
            states = [snapshot for changes in taken for snapshot in changes.snapshots]
            entities = [entity for changes in taken for entity in changes.entities]
            folded_to = {changes.shard: changes.folded_to for changes in taken}
            try:
                await self.store.save(states, folded_to, sent_to, entities)
            except BaseException:
                self.outbox.put_back(sent_to)
                for changes in taken:
                    changes.put_back()
                raise
            async with self.writing:
                for changes in taken:
                    changes.forget()
            metrics.JOURNAL_OPEN.set(sum(len(memory.cached) for memory in memories))
