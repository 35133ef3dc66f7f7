"""Shards of this process: which it owns, which are in memory, and which wait because their journal is unreadable."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic

from winnow.contracts.decider import Decider
from winnow.eventstore.codec import Cached, UnreadableEvent
from winnow.eventstore.loading import Loader
from winnow.eventstore.model import DecidedHook, Listener, S, Snapshot
from winnow.eventstore.outbox import Outbox
from winnow.eventstore.shard import ShardMemory
from winnow.eventstore.store import JournalStore
from winnow.eventstore.timers import Timers
from winnow.eventstore.work import ShardHeld
from winnow.runtime import metrics
from winnow.runtime.clock import Clock
from winnow.runtime.log import get_logger

_log = get_logger(__name__)
RETRY_FIRST_S: Final = 1.0
RETRY_MAX_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class _Hold:
    reason: str
    wait_s: float
    retry_at_s: float


class Holds:
    """The held shards of a journal; each is tried again after a wait that doubles up to ``RETRY_MAX_S``."""

    def __init__(self, clock: Clock) -> None:
        """Start with no shard held."""
        self._clock = clock
        self._holds: dict[str, _Hold] = {}

    def hold(self, shard: str, reason: str) -> float:
        """Hold a shard, or hold it for longer, and return how long, in seconds; the log names each reason once."""
        before = self._holds.get(shard)
        if before is None:
            metrics.JOURNAL_HELD.inc()
        if before is None or before.reason != reason:
            _log.error("journal.shard.held", shard=shard, reason=reason)
        wait_s = min(before.wait_s * 2, RETRY_MAX_S) if before else RETRY_FIRST_S
        self._holds[shard] = _Hold(reason, wait_s, self._clock.monotonic_s() + wait_s)
        return wait_s

    def release(self, shard: str) -> None:
        """Hold a shard no more: it was loaded, or belongs to another process."""
        if self._holds.pop(shard, None) is not None:
            metrics.JOURNAL_HELD.dec()
            _log.info("journal.shard.released", shard=shard)

    def waits_s(self, shard: str) -> float:
        """Return how long a shard still waits, in seconds; 0 for one that may be loaded."""
        hold = self._holds.get(shard)
        return max(0.0, hold.retry_at_s - self._clock.monotonic_s()) if hold else 0.0

    def next_in_s(self) -> float | None:
        """Return when the next shard is due to be tried again, in seconds from now; None when none is held."""
        return min((self.waits_s(shard) for shard in self._holds), default=None)

    def due(self) -> list[str]:
        """Return the held shards that are due to be tried again."""
        return [shard for shard in self._holds if self.waits_s(shard) == 0]

    def reasons(self) -> Mapping[str, str]:
        """Return why each held shard waits, by shard."""
        return {shard: hold.reason for shard, hold in self._holds.items()}


@dataclass(slots=True)
class Ownership(Generic[S]):
    """Takes shards over and gives them up, and tells the listener."""

    decider: Decider[S]
    store: JournalStore
    loader: Loader[S]
    outbox: Outbox
    timers: Timers[S]
    holds: Holds
    listener: Listener[S] | None = None
    on_decided: DecidedHook[S] | None = None
    memories: dict[str, ShardMemory[S]] = field(default_factory=dict)
    _owned: set[str] = field(default_factory=set)
    _given_up: set[str] = field(default_factory=set)

    def assign(self, shard: str) -> None:
        """Own a shard."""
        self._owned.add(shard)
        self._given_up.discard(shard)

    def revoke(self, shard: str) -> None:
        """Own a shard no more."""
        self._owned.discard(shard)
        self._given_up.add(shard)
        self._forget(shard)

    def records_came(self, shard: str) -> None:
        """Own a shard whose records are read, unless it was given up: records in hand then come late."""
        if shard not in self._given_up:
            self._owned.add(shard)

    def owns(self, shard: str) -> bool:
        """Return whether this process owns the shard."""
        return shard in self._owned

    def forget_given_up(self, shards: Iterable[str]) -> None:
        """Forget those of the shards that were given up: works that were queued for them loaded them again."""
        for shard in self._given_up.intersection(shards):
            self._forget(shard)

    def _forget(self, shard: str) -> None:
        self.unload(shard)
        self.holds.release(shard)

    def unload(self, shard: str) -> None:
        """Forget the memory of a shard; it is loaded anew before its next decision."""
        if self.memories.pop(shard, None) is not None and self.listener is not None:
            self.listener.unloaded(shard)

    async def load(self, shard: str) -> None:
        """Load a shard, and send what an earlier owner left.

        Raises ShardHeld while this build cannot read its journal.
        """
        wait_s = self.holds.waits_s(shard)
        if not wait_s:
            try:
                await self._load(shard)
            except UnreadableEvent as error:
                wait_s = self.holds.hold(shard, error.detail)
            else:
                self.holds.release(shard)
                return
        raise ShardHeld(self.holds.reasons()[shard], wait_s)

    async def _load(self, shard: str) -> None:
        head = await self.store.head(shard)
        memory: ShardMemory[S] = ShardMemory(shard, head)
        await self.loader.restore(memory, await self.store.open_states(shard))
        if head:
            await self.loader.replay(memory)
        self.outbox.begin(shard, await self.store.sent_to(shard) if head else 0)
        for block in await self.store.unsent(shard) if head else []:
            # Nobody waits for what an earlier owner left; the next decision is sent after it.
            _ = self.outbox.put(block)
        self.memories[shard] = memory
        self.timers.watch_loaded(memory)
        if self.listener is not None:
            self.listener.loaded(shard, self.open_states_of(memory))

    def open_states_of(self, memory: ShardMemory[S]) -> dict[str, S]:
        """Return the states in a memory that are not final."""
        return {
            aggregate_id: cached.state
            for aggregate_id, cached in memory.cached.items()
            if not self.decider.is_final(cached.state)
        }

    async def restore(self, snapshots: Collection[Snapshot]) -> dict[str, Cached[S]]:
        """Read snapshots of loaded shards; a shard whose snapshots this build cannot read is held."""
        restored: dict[str, Cached[S]] = {}
        for shard in {snapshot.shard for snapshot in snapshots}:
            own = [snapshot for snapshot in snapshots if snapshot.shard == shard]
            try:
                restored |= await self.loader.restore_all(shard, own)
            except UnreadableEvent as error:
                self.unload(shard)
                self.holds.hold(shard, error.detail)
        return restored
