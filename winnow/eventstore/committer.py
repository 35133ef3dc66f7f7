"""Decides works on units of work and commits each shard's as one block: its insert is the commit."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Generic

from winnow.eventstore.codec import Cached, Codec
from winnow.eventstore.loading import Loader
from winnow.eventstore.model import Block, S
from winnow.eventstore.outbox import Outbox
from winnow.eventstore.ownership import Ownership
from winnow.eventstore.shard import UnitOfWork
from winnow.eventstore.store import CommitResult, JournalStore
from winnow.eventstore.timers import Timers
from winnow.eventstore.work import FollowUps, ShardHeld, Work
from winnow.runtime import failpoints, metrics
from winnow.runtime.clock import Clock
from winnow.runtime.log import get_logger

_log = get_logger(__name__)
_TRIES_MAX: Final = 20


@dataclass(slots=True)
class Committer(Generic[S]):
    """Loads what a batch of works needs, decides it, inserts the blocks, and notifies those who wait."""

    codec: Codec[S]
    store: JournalStore
    loader: Loader[S]
    ownership: Ownership[S]
    timers: Timers[S]
    outbox: Outbox
    clock: Clock
    follow_ups: FollowUps[S] | None = None

    async def commit(self, works: Sequence[Work[S]]) -> None:
        """Commit works; those that met a block of another owner, or a known input, are decided again."""
        for _ in range(_TRIES_MAX):
            works = await self._loaded(works)
            units = await self._decide(works) if works else {}
            # A shard that was given up meanwhile: its works still run, on what the store has.
            if units is not None:
                with self._following_up(units):
                    works = await self._commit_units(units, works)
            if not works:
                return
        raise RuntimeError("a batch was fenced again and again")

    async def _loaded(self, works: Sequence[Work[S]]) -> Sequence[Work[S]]:
        """Load the shards of works; refuse the works of a held shard and return the others."""
        while missing := {work.shard for work in works} - self.ownership.memories.keys():
            shard = min(missing)
            try:
                await self.ownership.load(shard)
            except ShardHeld as held:
                for work in works:
                    if work.shard == shard:
                        work.refuse(held)
                works = [work for work in works if work.shard != shard]
        return works

    async def _decide(self, works: Sequence[Work[S]]) -> dict[str, UnitOfWork[S]] | None:
        """Decide with all states and entities that this takes; None when a shard was given up meanwhile."""
        memories = self.ownership.memories
        restored = await self._restored(works)
        loaded = await self.loader.load(works, memories, restored)
        while not {work.shard for work in works} - memories.keys():
            now = self.clock.now()
            units: dict[str, UnitOfWork[S]] = {}
            for work in works:
                if work.shard not in units:
                    memory = memories[work.shard]
                    units[work.shard] = UnitOfWork(self.codec, memory, restored, loaded, now)
                work.decide(units[work.shard])
            missing = {entity_id for unit in units.values() for entity_id in unit.missing}
            if not missing:
                return units
            # A decision made an earlier one's entity need another: all is decided again with that one.
            loaded |= await self.loader.look_up(missing)
        return None

    @contextmanager
    def _following_up(self, units: Mapping[str, UnitOfWork[S]]) -> Iterator[None]:
        """Decide what follows at once in the same blocks, and settle it when they are committed or given up."""
        owned = [unit for shard, unit in units.items() if self.ownership.owns(shard)]
        changed = {aggregate_id: unit for unit in owned for aggregate_id in unit.changed}
        states = {aggregate_id: unit.cached(aggregate_id).state for aggregate_id, unit in changed.items()}
        follow_ups = self.follow_ups(states) if states and self.follow_ups is not None else ()
        try:
            for follow_up in follow_ups:
                try:
                    changed[follow_up.input.aggregate_id].decide(follow_up.input)
                except Exception as error:  # noqa: BLE001 (what it follows is committed all the same)
                    _log.exception("journal.follow_up.failed", error=type(error).__name__)
            if follow_ups:
                failpoints.reach("after_follow_up")
            yield
        finally:
            for follow_up in follow_ups:
                follow_up.settle()

    async def _restored(self, works: Iterable[Work[S]]) -> dict[str, Cached[S]]:
        memories = self.ownership.memories
        wanted = {
            input_.aggregate_id
            for work in works
            for input_ in work.inputs
            if input_.aggregate_id not in memories[work.shard].cached
        }
        states = await self.store.states(wanted) if wanted and self.codec.decider.stores_states else {}
        return await self.ownership.restore(states.values())

    async def _commit_units(
        self, units: Mapping[str, UnitOfWork[S]], works: Sequence[Work[S]]
    ) -> Sequence[Work[S]]:
        """Insert the blocks of units of work; return the works that must be decided again."""
        blocks = {
            shard: unit.block(self.outbox.sent_to(shard)) for shard, unit in units.items() if unit.decisions
        }
        if self.ownership.on_decided is not None:
            for state in (cached.state for unit in units.values() for cached in unit.changed.values()):
                self.ownership.on_decided(state)
        results = dict.fromkeys(units, CommitResult.committed) | await self._insert(list(blocks.values()))
        sent: dict[str, asyncio.Future[None]] = {}
        for shard, unit in units.items():
            block = blocks.get(shard)
            if results[shard] is CommitResult.committed:
                unit.apply(block)
                if block is not None:
                    sent[shard] = self.outbox.put(block)
                    self._committed(block, unit)
            elif block is not None:
                await self._not_committed(shard, results[shard], block)
        for work in works:
            if results[work.shard] is CommitResult.committed:
                work.resolve(units[work.shard], sent.get(work.shard))
        return [work for work in works if results[work.shard] is not CommitResult.committed]

    async def _insert(self, blocks: Sequence[Block]) -> dict[str, CommitResult]:
        started_s = self.clock.monotonic_s()
        results: dict[str, CommitResult] = {}
        if blocks:
            failpoints.reach("before_insert")
            results = await self.store.insert(blocks)
            failpoints.reach("after_insert")
        metrics.JOURNAL_COMMIT.observe(self.clock.monotonic_s() - started_s)
        return results

    def _committed(self, block: Block, unit: UnitOfWork[S]) -> None:
        metrics.JOURNAL_BLOCKS.inc()
        metrics.JOURNAL_DECISIONS.inc(len(unit.decisions))
        if block.shard not in self.ownership.memories:
            # Given up during the insert: the listener has been told so and hears no more of it.
            return
        for aggregate_id, cached in unit.changed.items():
            self.timers.watch(block.shard, aggregate_id, cached.state)
        if self.ownership.listener is not None:
            self.ownership.listener.committed(block)
            for decision in unit.decisions:
                state, recorded = unit.changed[decision.aggregate_id].state, unit.recorded[decision.input_id]
                self.ownership.listener.changed(decision.aggregate_id, state, recorded)

    async def _not_committed(self, shard: str, result: CommitResult, block: Block) -> None:
        metrics.JOURNAL_CONFLICTS.labels(result.value).inc()
        if result is CommitResult.fenced:
            self.ownership.unload(shard)
            return
        known = await self.store.known_inputs(shard, [decision.input_id for decision in block.decisions])
        if shard in self.ownership.memories:
            self.ownership.memories[shard].remember(known.values())
