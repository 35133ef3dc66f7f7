"""The journal of a service: takes causes, decides them in batches, commits each batch as one block a shard."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, Generic, TypeAlias

from winnow.contracts.ids import shard_of
from winnow.contracts.topics import route
from winnow.runtime import crash_points, metrics
from winnow.runtime.clock import Clock
from winnow.runtime.journal.holds import Holds
from winnow.runtime.journal.loading import Loaded, Loader, forget
from winnow.runtime.journal.model import Block, Cause, Listener, Machine, S, Source, Tick
from winnow.runtime.journal.outbox import Outbox, Publisher
from winnow.runtime.journal.shard import CauseConflict, Codec, Draft, Held, ShardMemory, UnreadableEvent
from winnow.runtime.journal.store import Insert, JournalStore
from winnow.runtime.journal.work import Consumed, Decided, NotOwner, Work, decide_work, refuse, resolve
from winnow.runtime.log import get_logger

__all__ = ["CauseConflict", "Consumed", "Decided", "Journal", "NotOwner"]

_log = get_logger(__name__)
_Decided: TypeAlias = tuple[dict[str, Draft[S]], list[tuple[Work[S], Consumed, Exception | None, bool]]]
BATCH_MAX: Final = 1000
"""Causes in one batch: a block of 16 MiB holds about 60,000 entries of 278 bytes (docs/design.md#the-journal)."""
_TRIES_MAX: Final = 20
SAVE_EVERY_S: Final = 1.0
"""Greatest age of a kept state, and so of what a process that is not its owner folds; services may allow more."""


class Journal(Generic[S]):
    """The state of a service: one writer task for all the shards this process owns."""

    def __init__(
        self,
        machine: Machine[S],
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
        self._codec = Codec(machine, route)
        self._machine = machine
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

    def held(self) -> Mapping[str, str]:
        """Return the shards that wait because this build cannot read their journal, each with the reason."""
        return self._holds.reasons()

    def owned(self) -> Mapping[str, S]:
        """Return the open states in memory."""
        return {
            aggregate_id: held.state
            for memory in self._loaded.values()
            for aggregate_id, held in memory.held.items()
            if not self._machine.is_final(held.state)
        }

    def state(self, aggregate_id: str) -> S | None:
        """Return a state from memory."""
        for memory in self._loaded.values():
            held = memory.held.get(aggregate_id)
            if held is not None:
                return held.state
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
        kept = (await self._store.states([aggregate_id])).get(aggregate_id)
        held = Held(self._machine.initial(aggregate_id))
        if kept is not None:
            current = self._codec.hold(kept)
            held = (
                current or (await self._loader.refolded(shard, {aggregate_id: kept.block_no}))[aggregate_id]
            )
        if not is_kept_up:
            since = max(folded_to, held.block_no)
            for block_no, decision in await self._store.decided_after(shard, since, aggregate_id):
                held = self._codec.fold(held, decision, block_no)
        return held.state if held.seq else None

    async def submit(self, cause: Cause, *, shard: str | None = None) -> Decided[S]:
        """Decide a local cause and wait for the commit, which is shared with others.

        Raises NotOwner, UnreadableEvent, CauseConflict, or what ``decide`` raised. Submitting the same cause
        again returns the recorded decision.
        """
        name = shard if shard is not None else self.shard_of(cause.aggregate_id)
        if name not in self._owned:
            raise NotOwner(name)
        work: Work[S] = Work(name, ((0, cause),))
        self._put(work)
        _, _, decided = await work.done
        if decided is None:
            raise NotOwner(name)
        if not decided.duplicate:
            return decided
        known = await self._store.known_causes(name, [cause.cause_id])
        if cause.cause_id not in known:
            return decided
        if known[cause.cause_id].fingerprint != cause.fingerprint:
            raise CauseConflict(cause.cause_id)
        recorded = tuple(self._codec.recorded(entry) for entry in known[cause.cause_id].entries)
        return Decided(decided.state, recorded, duplicate=True)

    async def consume(
        self, shard: str, source: Source, items: Sequence[tuple[int, Cause | None]]
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
        kept = changed if self._machine.keeps_states else {}
        states = [
            self._codec.keep(aggregate_id, memory.name, held)
            for memory, helds in kept.items()
            for aggregate_id, held in helds.items()
        ]
        try:
            await self._store.save(states, folded_to, sent_to, self._loader.rows(entities))
        except BaseException:
            self._outbox.put_back(sent_to)
            for memory, helds in changed.items():
                memory.dirty |= set(helds)
            raise
        async with self._writing:
            for memory, saved in entities.items():
                forget(memory, saved)
            for memory, helds in changed.items():
                for key, held in helds.items():
                    if memory.held.get(key) is held and self._machine.is_final(held.state):
                        del memory.held[key]
        metrics.JOURNAL_OPEN.set(sum(len(memory.held) for memory in memories))

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
            held = memory.held.get(aggregate_id) if memory else None
            if (
                held is None
                or self._machine.due_at(held.state) != due_at
                or self._quiet.get(aggregate_id) == due_at
            ):
                continue
            self._quiet[aggregate_id] = due_at
            cause_id = f"tick:{aggregate_id}:{held.seq}"
            cause = Cause(aggregate_id, cause_id, Tick(), correlation_id=cause_id)
            self._queue.append(Work(shard, ((0, cause),)))

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
        drafts, outcomes = decided
        blocks = {
            shard: draft.block(self._outbox.sent_to(shard))
            for shard, draft in drafts.items()
            if draft.decisions
        }
        started_s = self._clock.monotonic_s()
        if blocks:
            crash_points.reach("before_insert")
        fates = await self._store.insert(list(blocks.values())) if blocks else {}
        if blocks:
            crash_points.reach("after_insert")
        metrics.JOURNAL_COMMIT.observe(self._clock.monotonic_s() - started_s)
        sent: dict[str, asyncio.Future[None]] = {}
        for shard, draft in drafts.items():
            if fates.get(shard, Insert.committed) is Insert.committed:
                self._committed(shard, draft, blocks.get(shard), sent)
            else:
                await self._not_committed(shard, fates[shard], blocks[shard])
        again = []
        for work, consumed, error, duplicate in outcomes:
            if fates.get(work.shard, Insert.committed) is not Insert.committed:
                again.append(work)
            else:
                resolve(work, drafts[work.shard], consumed, error, sent.get(work.shard), duplicate=duplicate)
        return again

    async def _decide(self, works: list[Work[S]]) -> _Decided[S] | None:
        """Decide with all states and entities that this takes; None when a shard was given up meanwhile."""
        kept = await self._kept_states(works)
        loaded = await self._loader.load(works, self._loaded, kept)
        while not {work.shard for work in works} - set(self._loaded):
            sought = {work.shard: dict(self._loaded[work.shard].sought) for work in works}
            drafts, outcomes = self._drafted(works, kept, loaded)
            missing = {entity_id for draft in drafts.values() for entity_id in draft.missing}
            if not missing:
                return drafts, outcomes
            # A decision made an earlier one's entity need another: all is decided again with that one.
            for shard, before in sought.items():
                self._loaded[shard].sought = before
            loaded |= await self._loader.look_up(missing)
        return None

    def _drafted(self, works: list[Work[S]], kept: Mapping[str, Held[S]], loaded: Loaded) -> _Decided[S]:
        """Decide on drafts, which leave the memory as it is until they are committed."""
        now = self._clock.now()
        drafts: dict[str, Draft[S]] = {}
        outcomes: list[tuple[Work[S], Consumed, Exception | None, bool]] = []
        for work in works:
            memory = self._loaded[work.shard]
            draft = drafts.get(work.shard)
            if draft is None:
                draft = drafts[work.shard] = Draft(self._codec, memory, kept, loaded, now)
            outcomes.append((work, *decide_work(work, draft, memory)))
        return drafts, outcomes

    async def _kept_states(self, works: list[Work[S]]) -> dict[str, Held[S]]:
        wanted = {
            cause.aggregate_id
            for work in works
            for _, cause in work.items
            if cause is not None and cause.aggregate_id not in self._loaded[work.shard].held
        }
        states = await self._store.states(wanted) if wanted and self._machine.keeps_states else {}
        helds: dict[str, Held[S]] = {}
        for shard in {state.shard for state in states.values()}:
            try:
                helds |= await self._loader.hold_all(
                    shard, [state for state in states.values() if state.shard == shard]
                )
            except UnreadableEvent as error:
                self._unload(shard)
                self._holds.hold(shard, error.detail)
        return helds

    def _committed(
        self, shard: str, draft: Draft[S], block: Block | None, sent: dict[str, asyncio.Future[None]]
    ) -> None:
        draft.apply(block)
        if block is None:
            return
        sent[shard] = self._outbox.put(block)
        metrics.JOURNAL_BLOCKS.inc()
        metrics.JOURNAL_DECISIONS.inc(len(draft.decisions))
        if shard not in self._loaded:
            # Given up during the insert: the listener has been told so and hears no more of it.
            return
        for aggregate_id, held in draft.changed.items():
            self._watch(shard, aggregate_id, held.state)
        if self._listener is not None:
            for decision in draft.decisions:
                held = draft.changed[decision.aggregate_id]
                self._listener.changed(decision.aggregate_id, held.state, draft.recorded[decision.cause_id])

    async def _not_committed(self, shard: str, fate: Insert, block: Block) -> None:
        metrics.JOURNAL_CONFLICTS.labels(fate.value).inc()
        if fate is Insert.fenced:
            self._unload(shard)
            return
        known = await self._store.known_causes(shard, [decision.cause_id for decision in block.decisions])
        if shard in self._loaded:
            self._loaded[shard].remember(known.values())

    async def _load(self, shard: str) -> None:
        head = await self._store.head(shard)
        memory: ShardMemory[S] = ShardMemory(shard, head)
        await self._loader.hold(memory, await self._store.open_states(shard))
        if head:
            await self._loader.replay(memory)
        self._outbox.begin(shard, await self._store.sent_to(shard) if head else 0)
        for block in await self._store.unsent(shard) if head else []:
            # Nobody waits for what an earlier owner left; the next decision is sent after it.
            _ = self._outbox.put(block)
        self._loaded[shard] = memory
        for aggregate_id, held in memory.held.items():
            self._quiet.pop(aggregate_id, None)
            self._watch(shard, aggregate_id, held.state)
        if self._listener is not None:
            self._listener.loaded(
                shard,
                {
                    key: held.state
                    for key, held in memory.held.items()
                    if not self._machine.is_final(held.state)
                },
            )

    def _unload(self, shard: str) -> None:
        if self._loaded.pop(shard, None) is not None and self._listener is not None:
            self._listener.unloaded(shard)

    def _watch(self, shard: str, aggregate_id: str, state: S) -> None:
        due_at = self._machine.due_at(state)
        if due_at is not None and self._quiet.get(aggregate_id) != due_at:
            heapq.heappush(self._due, (due_at, shard, aggregate_id))
            self._wake.set()
        elif due_at is None:
            self._quiet.pop(aggregate_id, None)


def _take_changed(memory: ShardMemory[S]) -> dict[str, Held[S]]:
    changed = {key: memory.held[key] for key in memory.dirty if key in memory.held}
    memory.dirty = set()
    return changed
