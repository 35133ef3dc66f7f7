"""The one task of a journal that writes: it takes queued works in batches, and ticks and held shards when due."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Final, Generic

from winnow.eventstore.committer import Committer
from winnow.eventstore.model import S
from winnow.eventstore.ownership import Holds, Ownership
from winnow.eventstore.timers import Timers
from winnow.eventstore.work import PartitionWork, ShardHeld, Work
from winnow.runtime.log import get_logger

_log = get_logger(__name__)
BATCH_MAX: Final = 1000
"""Inputs in one batch: a block of 16 MiB holds about 60,000 entries of 278 bytes (docs/design.md#the-journal)."""


@dataclass(slots=True)
class Writer(Generic[S]):
    """A queue of works, and the loop that commits them."""

    committer: Committer[S]
    ownership: Ownership[S]
    timers: Timers[S]
    holds: Holds
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while states in memory change."""
    _works: list[Work[S]] = field(default_factory=list)
    _loads: set[str] = field(default_factory=set)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, work: Work[S]) -> None:
        """Queue a work."""
        self._works.append(work)
        self._wake.set()

    def load(self, shard: str) -> None:
        """Queue the loading of a shard, for its timers and its unsent blocks."""
        self._loads.add(shard)
        self._wake.set()

    @property
    def is_idle(self) -> bool:
        """Return whether nothing is queued or being written."""
        return not (self._works or self._loads or self.writing.locked())

    async def run(self) -> None:
        """Commit what is queued or due until cancelled."""
        while True:
            await self._wait()
            works, loads, self._loads = self._take(), self._loads, set()
            shards = {work.shard for work in works} | loads
            async with self.writing:
                try:
                    for shard in sorted(loads - self.ownership.memories.keys()):
                        with contextlib.suppress(ShardHeld):
                            await self.ownership.load(shard)
                    await self.committer.commit(works)
                except Exception as error:  # noqa: BLE001 (given to every caller)
                    _log.exception("journal.batch.failed", error=type(error).__name__)
                    for shard in shards:
                        self.ownership.unload(shard)
                    for work in works:
                        work.fail(error)
                self.ownership.forget_given_up(shards)

    async def _wait(self) -> None:
        while not self._works and not self._loads:
            self._wake.clear()
            waits = [
                due_s for due_s in (self.holds.next_in_s(), self.timers.next_in_s()) if due_s is not None
            ]
            # wait_for can lose a cancellation on Python 3.11 when the event is set at the same moment.
            try:
                async with asyncio.timeout(min(waits, default=None)):
                    await self._wake.wait()
            except TimeoutError:
                self._queue_due()
        self._queue_due()

    def _queue_due(self) -> None:
        self._loads.update(self.holds.due())
        self._works += self.timers.ticks(self.ownership.memories)

    def _take(self) -> list[Work[S]]:
        taken = count = 0
        for work in self._works:
            count += len(work.records) if isinstance(work, PartitionWork) else 1
            if taken and count > BATCH_MAX:
                break
            taken += 1
        works, self._works = self._works[:taken], self._works[taken:]
        return works
