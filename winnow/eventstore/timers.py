"""Timers of the aggregates in memory: each gets a tick when its ``due_at`` has come."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from datetime import datetime
from typing import Generic, NamedTuple

from winnow.contracts.decider import Decider, Tick
from winnow.eventstore.model import Input, S
from winnow.eventstore.shard import ShardMemory
from winnow.eventstore.work import LocalWork
from winnow.runtime.clock import Clock


class _Due(NamedTuple):
    at: datetime
    shard: str
    aggregate_id: str


class Timers(Generic[S]):
    """The due times of a journal, soonest first."""

    def __init__(self, decider: Decider[S], clock: Clock) -> None:
        """Start with none."""
        self._decider = decider
        self._clock = clock
        self._due: list[_Due] = []
        self._quiet: dict[str, datetime] = {}
        """Due times whose tick is given: a decision that leaves one as it is gets no second tick."""

    def watch(self, shard: str, aggregate_id: str, state: S) -> None:
        """Note when a changed aggregate is due."""
        due_at = self._decider.due_at(state)
        if due_at is None:
            self._quiet.pop(aggregate_id, None)
        elif self._quiet.get(aggregate_id) != due_at:
            heapq.heappush(self._due, _Due(due_at, shard, aggregate_id))

    def watch_loaded(self, memory: ShardMemory[S]) -> None:
        """Note when the aggregates of a loaded shard are due, also after a tick for the same time."""
        for aggregate_id, cached in memory.cached.items():
            self._quiet.pop(aggregate_id, None)
            self.watch(memory.name, aggregate_id, cached.state)

    def next_in_s(self) -> float | None:
        """Return when the next aggregate is due, in seconds from now; None when none is."""
        return max(0.0, (self._due[0].at - self._clock.now()).total_seconds()) if self._due else None

    def ticks(self, memories: Mapping[str, ShardMemory[S]]) -> list[LocalWork[S]]:
        """Return a tick for each aggregate whose time has come and that still wants it."""
        works: list[LocalWork[S]] = []
        now = self._clock.now()
        while self._due and self._due[0].at <= now:
            due_at, shard, aggregate_id = heapq.heappop(self._due)
            memory = memories.get(shard)
            cached = memory.cached.get(aggregate_id) if memory else None
            if cached is None or self._decider.due_at(cached.state) != due_at:
                continue
            if self._quiet.get(aggregate_id) != due_at:
                self._quiet[aggregate_id] = due_at
                input_id = f"tick:{aggregate_id}:{cached.seq}"
                works.append(LocalWork(shard, Input(aggregate_id, input_id, Tick(), correlation_id=input_id)))
        return works
