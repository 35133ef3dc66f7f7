"""The journal of a service: takes inputs, decides them in batches, commits each batch as one block a shard."""

from __future__ import annotations

import asyncio
from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from typing import Generic

from winnow.adapters.partitions import Consumed, Publisher, Source
from winnow.contracts.decider import Decider
from winnow.contracts.ids import shard_of
from winnow.contracts.topics import route
from winnow.eventstore.codec import Cached, Codec
from winnow.eventstore.committer import Committer
from winnow.eventstore.loading import Loader
from winnow.eventstore.model import DecidedHook, Input, Listener, S
from winnow.eventstore.outbox import Outbox
from winnow.eventstore.ownership import Holds, Ownership
from winnow.eventstore.shard import InputReused
from winnow.eventstore.snapshots import SAVE_EVERY_S, Snapshots
from winnow.eventstore.store import JournalStore
from winnow.eventstore.timers import Timers
from winnow.eventstore.work import Decided, FollowUps, LocalWork, NotOwner, PartitionWork
from winnow.eventstore.writer import Writer
from winnow.runtime.clock import Clock


class Journal(Generic[S]):
    """The state of a service: one writer task for all the shards this process owns."""

    def __init__(
        self,
        decider: Decider[S],
        store: JournalStore,
        publisher: Publisher,
        clock: Clock,
        *,
        shards: int,
        listener: Listener[S] | None = None,
        save_every_s: float = SAVE_EVERY_S,
    ) -> None:
        """Wire the journal; ``run`` must be running for anything to happen.

        States are a cache: saved seldom, a short-lived aggregate is written once and the next start folds more.
        """
        self._decider = decider
        self._store = store
        self._shards = shards
        self._codec = Codec(decider, route)
        self._loader = Loader(self._codec, store)
        self._outbox = Outbox(publisher, shards)
        self._holds = Holds(clock)
        timers = Timers(decider, clock)
        self._ownership = Ownership(decider, store, self._loader, self._outbox, timers, self._holds, listener)
        parts = (self._codec, store, self._loader, self._ownership)
        self._committer = Committer(*parts, timers, self._outbox, clock)
        self._writer = Writer(self._committer, self._ownership, timers, self._holds)
        parts_of_a_save = (self._codec, store, self._ownership, self._outbox)
        self._snapshots = Snapshots(*parts_of_a_save, self._writer.writing, save_every_s)

    def listen(self, listener: Listener[S], on_decided: DecidedHook[S] | None = None) -> None:
        """Set the listener of a built journal; ``on_decided`` hears of decisions before their commit."""
        self._ownership.listener, self._ownership.on_decided = listener, on_decided

    def follow_up(self, follow_ups: FollowUps[S]) -> None:
        """Set what decides more in the block of a decision; it must return at once and must not raise."""
        self._committer.follow_ups = follow_ups

    def assign(self, shards: Iterable[str]) -> None:
        """Take shards over; each is loaded before its first decision, and its unsent blocks are sent first."""
        for shard in shards:
            self._ownership.assign(shard)
            self._writer.load(shard)

    def revoke(self, shards: Iterable[str]) -> None:
        """Release shards; what is queued for them still runs and is fenced if another owner has written."""
        for shard in shards:
            self._ownership.revoke(shard)
        self._snapshots.soon.set()

    def shard_of(self, aggregate_id: str) -> str:
        """Name the shard that an aggregate belongs to."""
        return str(shard_of(aggregate_id, self._shards))

    def owns(self, shard: str) -> bool:
        """Return whether this process owns the shard."""
        return self._ownership.owns(shard)

    def held_shards(self) -> Mapping[str, str]:
        """Return the shards that wait because this build cannot read their journal, each with the reason."""
        return self._holds.reasons()

    def owned(self) -> Mapping[str, S]:
        """Return the open states in memory."""
        return ChainMap(*map(self._ownership.open_states_of, self._ownership.memories.values()))

    def state(self, aggregate_id: str) -> S | None:
        """Return a state from memory."""
        for memory in self._ownership.memories.values():
            if (cached := memory.cached.get(aggregate_id)) is not None:
                return cached.state
        return None

    async def read_state(self, aggregate_id: str) -> S | None:
        """Return a state as the newest block leaves it, another owner's too; None when nothing is decided for it.

        Raises UnreadableEvent.
        """
        if (state := self.state(aggregate_id)) is not None:
            return state
        shard = self.shard_of(aggregate_id)
        is_kept_up = shard in self._ownership.memories
        # Asked first: what is kept after it holds all that was decided until then.
        folded_to = 0 if is_kept_up else await self._store.folded_to(shard)
        stored = (await self._store.states([aggregate_id])).get(aggregate_id)
        cached = Cached(self._decider.initial(aggregate_id))
        if stored is not None:
            cached = (await self._loader.restore_all(shard, [stored]))[aggregate_id]
        if not is_kept_up:
            since = max(folded_to, cached.block_no)
            for block_no, decision in await self._store.decided_after(shard, since, aggregate_id):
                cached = self._codec.fold(cached, decision, block_no)
        return cached.state if cached.seq else None

    async def submit(self, input_: Input, *, shard: str | None = None) -> Decided[S]:
        """Decide a local input and wait for the commit, which is shared with others.

        Raises NotOwner, UnreadableEvent, InputReused, or what ``decide`` raised. Submitting the same input
        again returns the recorded decision.
        """
        name = shard if shard is not None else self.shard_of(input_.aggregate_id)
        if not self._ownership.owns(name):
            raise NotOwner(name)
        work: LocalWork[S] = LocalWork(name, input_)
        self._writer.put(work)
        decided = await work.done
        inputs = await self._store.known_inputs(name, [input_.input_id]) if decided.duplicate else {}
        if (known := inputs.get(input_.input_id)) is None:
            return decided
        if known.fingerprint != input_.fingerprint:
            raise InputReused(input_.input_id)
        recorded = tuple(self._codec.recorded(entry) for entry in known.entries)
        return Decided(decided.state, recorded, duplicate=True)

    async def consume(
        self, shard: str, source: Source, records: Sequence[tuple[int, Input | None]]
    ) -> Consumed:
        """Decide the records of one partition, in order; returns when their messages are on the bus."""
        self._ownership.records_came(shard)
        work = PartitionWork(shard, source, records)
        self._writer.put(work)
        result = await work.done
        if result.sent is not None:
            await result.sent
        return result.consumed

    async def run(self) -> None:
        """Write, publish and save until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._writer.run(), name="journal-write")
            tasks.create_task(self._outbox.run(), name="journal-outbox")
            tasks.create_task(self._snapshots.run(), name="journal-save")

    async def drain(self) -> None:
        """Wait until the queue and the outbox are empty, then save the states."""
        # Three conditions, once, at the stop: looking again is simpler than three events.
        while not (self._writer.is_idle and self._outbox.is_empty):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await self.save()

    async def save(self) -> None:
        """Keep the changed states and how far the shards are on the bus; final states leave memory."""
        await self._snapshots.save()
