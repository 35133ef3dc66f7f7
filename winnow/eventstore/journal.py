"""The journal of a service: takes inputs, decides them in batches, commits each batch as one block a shard."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, Generic, TypeAlias

from winnow.adapters.partitions import Consumed, Source
from winnow.contracts.decider import Decider, Tick
from winnow.contracts.ids import shard_of
from winnow.contracts.topics import route
from winnow.eventstore.holds import Holds
from winnow.eventstore.loading import Loaded, Loader, forget
from winnow.eventstore.model import Block, Input, Listener, S
from winnow.eventstore.outbox import Outbox, Publisher
from winnow.eventstore.shard import Cached, Codec, InputReused, ShardMemory, UnitOfWork, UnreadableEvent
from winnow.eventstore.store import CommitResult, JournalStore
from winnow.eventstore.work import Decided, NotOwner, Work, decide_work, refuse, resolve
from winnow.runtime import failpoints, metrics
from winnow.runtime.clock import Clock
from winnow.runtime.log import get_logger

__all__ = ["Consumed", "Decided", "InputReused", "Journal", "NotOwner"]

_log = get_logger(__name__)
_Batch: TypeAlias = tuple[dict[str, UnitOfWork[S]], list[tuple[Work[S], Consumed, Exception | None, bool]]]
BATCH_MAX: Final = 1000
"""Inputs in one batch: a block of 16 MiB holds about 60,000 entries of 278 bytes (docs/design.md#the-journal)."""
_TRIES_MAX: Final = 20
SAVE_EVERY_S: Final = 1.0
"""Greatest age of a snapshot, and so of what a process that is not its owner folds; services may allow more."""


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
        self._codec = Codec(decider, route)
        self._decider = decider
        self._store = store
        self._loader = Loader(self._codec, store)
        self._clock = clock
        self._shards = shards
        self._listener = listener
        self._save_every_s = save_every_s
        self._outbox = Outbox(publisher, shards)
        self._owned: set[str] = set()
        self._given_up: set[str] = set()
        self._loaded: dict[str, ShardMemory[S]] = {}
        self._queue: list[Work[S]] = []
        self._wake = asyncio.Event()
        self._save_soon = asyncio.Event()
        self._writing = asyncio.Lock()
        self._saving = asyncio.Lock()
        self._due: list[tuple[datetime, str, str]] = []
        self._quiet: dict[str, datetime] = {}
        self._holds = Holds(clock)

    def listen(self, listener: Listener[S]) -> None:
        """Set the listener, when it needs the journal to be built first."""
        self._listener = listener

    def assign(self, shards: Iterable[str]) -> None:
        """Take shards over; each is loaded before its first decision, and its unsent blocks are sent first."""
        for shard in shards:
            self._owned.add(shard)
            self._given_up.discard(shard)
            self._put(Work(shard, ()))

    def revoke(self, shards: Iterable[str]) -> None:
        """Release shards; what is queued for them still runs and is fenced if another owner has written."""
        for shard in shards:
            self._owned.discard(shard)
            self._given_up.add(shard)
            self._unload(shard)
            self._holds.release(shard)
        self._save_soon.set()

    def shard_of(self, aggregate_id: str) -> str:
        """Name the shard that an aggregate belongs to."""
        return str(shard_of(aggregate_id, self._shards))

    def owns(self, shard: str) -> bool:
        """Return whether this process owns the shard."""
        return shard in self._owned

    def held_shards(self) -> Mapping[str, str]:
        """Return the shards that wait because this build cannot read their journal, each with the reason."""
        return self._holds.reasons()

    def owned(self) -> Mapping[str, S]:
        """Return the open states in memory."""
        return {
            aggregate_id: cached.state
            for memory in self._loaded.values()
            for aggregate_id, cached in memory.cached.items()
            if not self._decider.is_final(cached.state)
        }

    def state(self, aggregate_id: str) -> S | None:
        """Return a state from memory."""
        for memory in self._loaded.values():
            cached = memory.cached.get(aggregate_id)
            if cached is not None:
                return cached.state
        return None

    async def read_state(self, aggregate_id: str) -> S | None:
        """Return a state as the newest block leaves it, another owner's too; None when nothing is decided for it.

        Raises UnreadableEvent.
        """
        if (state := self.state(aggregate_id)) is not None:
            return state
        shard = self.shard_of(aggregate_id)
        is_kept_up = shard in self._loaded
        # Asked first: what is kept after it holds all that was decided until then.
        folded_to = 0 if is_kept_up else await self._store.folded_to(shard)
        stored = (await self._store.states([aggregate_id])).get(aggregate_id)
        cached = Cached(self._decider.initial(aggregate_id))
        if stored is not None:
            current = self._codec.load(stored)
            cached = (
                current or (await self._loader.refolded(shard, {aggregate_id: stored.block_no}))[aggregate_id]
            )
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
        if name not in self._owned:
            raise NotOwner(name)
        work: Work[S] = Work(name, ((0, input_),))
        self._put(work)
        _, _, decided = await work.done
        if decided is None:
            raise NotOwner(name)
        if not decided.duplicate:
            return decided
        known = await self._store.known_inputs(name, [input_.input_id])
        if input_.input_id not in known:
            return decided
        if known[input_.input_id].fingerprint != input_.fingerprint:
            raise InputReused(input_.input_id)
        recorded = tuple(self._codec.recorded(entry) for entry in known[input_.input_id].entries)
        return Decided(decided.state, recorded, duplicate=True)

    async def consume(
        self, shard: str, source: Source, items: Sequence[tuple[int, Input | None]]
    ) -> Consumed:
        """Decide the records of one partition, in order; returns when their messages are on the bus."""
        # Records in hand when their partition was revoked come late: they do not take it back.
        if shard not in self._given_up:
            self._owned.add(shard)
        work: Work[S] = Work(shard, items, source)
        self._put(work)
        consumed, sent, _ = await work.done
        if sent is not None:
            await sent
        return consumed

    async def run(self) -> None:
        """Write, publish and save until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._write(), name="journal-write")
            tasks.create_task(self._outbox.run(), name="journal-outbox")
            tasks.create_task(self._save_often(), name="journal-save")

    async def drain(self) -> None:
        """Wait until the queue and the outbox are empty, then save the states."""
        # Three conditions, once, at the stop: looking again is simpler than three events.
        while self._queue or self._writing.locked() or not self._outbox.is_empty:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await self.save()

    async def save(self) -> None:
        """Keep the changed states and how far the shards are on the bus; final states leave memory."""
        # Overlapping saves would note blocks as folded whose states another of them has not stored yet.
        async with self._saving:
            await self._save()

    async def _save(self) -> None:
        memories = list(self._loaded.values())
        changed = {owned: _take_changed(owned) for owned in memories if owned.dirty}
        entities = {owned: dict(owned.entities) for owned in memories}
        folded_to = {owned.name: owned.head_no for owned in changed}
        sent_to = self._outbox.take_marks()
        stored = changed if self._decider.stores_states else {}
        states = [
            self._codec.dump(aggregate_id, memory.name, cached)
            for memory, cached_states in stored.items()
            for aggregate_id, cached in cached_states.items()
        ]
        try:
            await self._store.save(states, folded_to, sent_to, self._loader.rows(entities))
        except BaseException:
            self._outbox.put_back(sent_to)
            for memory, cached_states in changed.items():
                memory.dirty |= set(cached_states)
            raise
        async with self._writing:
            for memory, saved in entities.items():
                forget(memory, saved)
            for memory, cached_states in changed.items():
                for key, cached in cached_states.items():
                    if memory.cached.get(key) is cached and self._decider.is_final(cached.state):
                        del memory.cached[key]
        metrics.JOURNAL_OPEN.set(sum(len(memory.cached) for memory in memories))

    def _put(self, work: Work[S]) -> None:
        self._queue.append(work)
        self._wake.set()

    async def _save_often(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._save_every_s):
                    await self._save_soon.wait()
            self._save_soon.clear()
            try:
                await self.save()
            except Exception as error:  # noqa: BLE001 (the cache is written again later; the journal is the truth)
                _log.warning("journal.save.failed", error=type(error).__name__)

    async def _write(self) -> None:
        while True:
            await self._work_or_due()
            works = self._take()
            async with self._writing:
                try:
                    await self._commit(works)
                except Exception as error:  # noqa: BLE001 (given to every caller)
                    _log.exception("journal.batch.failed", error=type(error).__name__)
                    for work in works:
                        self._unload(work.shard)
                        if not work.done.done():
                            work.done.set_exception(error)
                for shard in {work.shard for work in works} & self._given_up:
                    self._unload(shard)
                    self._holds.release(shard)

    async def _work_or_due(self) -> None:
        while not self._queue:
            self._wake.clear()
            wait_s = self._holds.next_in_s()
            if self._due:
                due_s = max(0.0, (self._due[0][0] - self._clock.now()).total_seconds())
                wait_s = due_s if wait_s is None else min(due_s, wait_s)
            try:
                # wait_for can lose a cancellation on Python 3.11 when the event is set at the same moment.
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                self._queue_ticks()
        self._queue_ticks()

    def _queue_ticks(self) -> None:
        self._queue.extend(Work(shard, ()) for shard in self._holds.due())
        now = self._clock.now()
        while self._due and self._due[0][0] <= now:
            due_at, shard, aggregate_id = heapq.heappop(self._due)
            memory = self._loaded.get(shard)
            cached = memory.cached.get(aggregate_id) if memory else None
            if (
                cached is None
                or self._decider.due_at(cached.state) != due_at
                or self._quiet.get(aggregate_id) == due_at
            ):
                continue
            self._quiet[aggregate_id] = due_at
            input_id = f"tick:{aggregate_id}:{cached.seq}"
            input_ = Input(aggregate_id, input_id, Tick(), correlation_id=input_id)
            self._queue.append(Work(shard, ((0, input_),)))

    def _take(self) -> list[Work[S]]:
        taken = 0
        count = 0
        for work in self._queue:
            count += max(1, len(work.items))
            if taken and count > BATCH_MAX:
                break
            taken += 1
        works, self._queue = self._queue[:taken], self._queue[taken:]
        return works

    async def _commit(self, works: list[Work[S]]) -> None:
        for _ in range(_TRIES_MAX):
            while missing := {work.shard for work in works} - set(self._loaded):
                works = await self._load_or_hold(min(missing), works)
            works = await self._commit_once(works) if works else works
            if not works:
                return
        msg = "a batch was fenced again and again"
        raise RuntimeError(msg)

    async def _load_or_hold(self, shard: str, works: list[Work[S]]) -> list[Work[S]]:
        """Load a shard, or refuse its works because this build cannot read its journal; return those to be decided."""
        wait_s = self._holds.waits_s(shard)
        if not wait_s:
            try:
                await self._load(shard)
            except UnreadableEvent as error:
                wait_s = self._holds.hold(shard, error.detail)
            else:
                self._holds.release(shard)
                return works
        for work in works:
            if work.shard == shard:
                refuse(work, self._holds.reasons()[shard], wait_s)
        return [work for work in works if work.shard != shard]

    async def _commit_once(self, works: list[Work[S]]) -> list[Work[S]]:
        """Decide and insert; return the works that must be decided again."""
        decided = await self._decide(works)
        if decided is None:
            # A shard was given up meanwhile; its works still run, on what the store has.
            return works
        units, outcomes = decided
        blocks = {
            shard: unit.block(self._outbox.sent_to(shard)) for shard, unit in units.items() if unit.decisions
        }
        started_s = self._clock.monotonic_s()
        if blocks:
            failpoints.reach("before_insert")
        results = await self._store.insert(list(blocks.values())) if blocks else {}
        if blocks:
            failpoints.reach("after_insert")
        metrics.JOURNAL_COMMIT.observe(self._clock.monotonic_s() - started_s)
        sent: dict[str, asyncio.Future[None]] = {}
        for shard, unit in units.items():
            if results.get(shard, CommitResult.committed) is CommitResult.committed:
                self._committed(shard, unit, blocks.get(shard), sent)
            else:
                await self._not_committed(shard, results[shard], blocks[shard])
        again = []
        for work, consumed, error, duplicate in outcomes:
            if results.get(work.shard, CommitResult.committed) is not CommitResult.committed:
                again.append(work)
            else:
                resolve(work, units[work.shard], consumed, error, sent.get(work.shard), duplicate=duplicate)
        return again

    async def _decide(self, works: list[Work[S]]) -> _Batch[S] | None:
        """Decide with all states and entities that this takes; None when a shard was given up meanwhile."""
        restored = await self._restored_states(works)
        loaded = await self._loader.load(works, self._loaded, restored)
        while not {work.shard for work in works} - set(self._loaded):
            sought = {work.shard: dict(self._loaded[work.shard].sought) for work in works}
            units, outcomes = self._units_of(works, restored, loaded)
            missing = {entity_id for unit in units.values() for entity_id in unit.missing}
            if not missing:
                return units, outcomes
            # A decision made an earlier one's entity need another: all is decided again with that one.
            for shard, before in sought.items():
                self._loaded[shard].sought = before
            loaded |= await self._loader.look_up(missing)
        return None

    def _units_of(self, works: list[Work[S]], restored: Mapping[str, Cached[S]], loaded: Loaded) -> _Batch[S]:
        """Decide on units of work, which leave the memory as it is until they are committed."""
        now = self._clock.now()
        units: dict[str, UnitOfWork[S]] = {}
        outcomes: list[tuple[Work[S], Consumed, Exception | None, bool]] = []
        for work in works:
            memory = self._loaded[work.shard]
            unit = units.get(work.shard)
            if unit is None:
                unit = units[work.shard] = UnitOfWork(self._codec, memory, restored, loaded, now)
            outcomes.append((work, *decide_work(work, unit, memory)))
        return units, outcomes

    async def _restored_states(self, works: list[Work[S]]) -> dict[str, Cached[S]]:
        wanted = {
            input_.aggregate_id
            for work in works
            for _, input_ in work.items
            if input_ is not None and input_.aggregate_id not in self._loaded[work.shard].cached
        }
        states = await self._store.states(wanted) if wanted and self._decider.stores_states else {}
        cached_states: dict[str, Cached[S]] = {}
        for shard in {state.shard for state in states.values()}:
            try:
                cached_states |= await self._loader.restore_all(
                    shard, [state for state in states.values() if state.shard == shard]
                )
            except UnreadableEvent as error:
                self._unload(shard)
                self._holds.hold(shard, error.detail)
        return cached_states

    def _committed(
        self, shard: str, unit: UnitOfWork[S], block: Block | None, sent: dict[str, asyncio.Future[None]]
    ) -> None:
        unit.apply(block)
        if block is None:
            return
        sent[shard] = self._outbox.put(block)
        metrics.JOURNAL_BLOCKS.inc()
        metrics.JOURNAL_DECISIONS.inc(len(unit.decisions))
        if shard not in self._loaded:
            # Given up during the insert: the listener has been told so and hears no more of it.
            return
        for aggregate_id, cached in unit.changed.items():
            self._watch(shard, aggregate_id, cached.state)
        if self._listener is not None:
            for decision in unit.decisions:
                cached = unit.changed[decision.aggregate_id]
                self._listener.changed(decision.aggregate_id, cached.state, unit.recorded[decision.input_id])

    async def _not_committed(self, shard: str, result: CommitResult, block: Block) -> None:
        metrics.JOURNAL_CONFLICTS.labels(result.value).inc()
        if result is CommitResult.fenced:
            self._unload(shard)
            return
        known = await self._store.known_inputs(shard, [decision.input_id for decision in block.decisions])
        if shard in self._loaded:
            self._loaded[shard].remember(known.values())

    async def _load(self, shard: str) -> None:
        head = await self._store.head(shard)
        memory: ShardMemory[S] = ShardMemory(shard, head)
        await self._loader.restore(memory, await self._store.open_states(shard))
        if head:
            await self._loader.replay(memory)
        self._outbox.begin(shard, await self._store.sent_to(shard) if head else 0)
        for block in await self._store.unsent(shard) if head else []:
            # Nobody waits for what an earlier owner left; the next decision is sent after it.
            _ = self._outbox.put(block)
        self._loaded[shard] = memory
        for aggregate_id, cached in memory.cached.items():
            self._quiet.pop(aggregate_id, None)
            self._watch(shard, aggregate_id, cached.state)
        if self._listener is not None:
            self._listener.loaded(
                shard,
                {
                    key: cached.state
                    for key, cached in memory.cached.items()
                    if not self._decider.is_final(cached.state)
                },
            )

    def _unload(self, shard: str) -> None:
        if self._loaded.pop(shard, None) is not None and self._listener is not None:
            self._listener.unloaded(shard)

    def _watch(self, shard: str, aggregate_id: str, state: S) -> None:
        due_at = self._decider.due_at(state)
        if due_at is not None and self._quiet.get(aggregate_id) != due_at:
            heapq.heappush(self._due, (due_at, shard, aggregate_id))
            self._wake.set()
        elif due_at is None:
            self._quiet.pop(aggregate_id, None)


def _take_changed(memory: ShardMemory[S]) -> dict[str, Cached[S]]:
    changed = {key: memory.cached[key] for key in memory.dirty if key in memory.cached}
    memory.dirty = set()
    return changed
