"""Replicas of ingest take partitions from each other and die: the read model is what a rebuild makes of the topics."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import chain
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.ingest.app.notifier import Notifier
from services.ingest.app.projection import Projection
from services.ingest.domain.task_row import BatchRows, TaskRow
from tests.contract.ingest.segment_suite import large_task
from tests.contract.ingest.store_suite import task_named
from tests.unit.ingest.memory_stores import MemoryViews

PARTITIONS = (0, 1)
TOPIC: dict[int, list[tuple[int, Any]]] = {
    partition: list(
        enumerate(
            chain.from_iterable(
                zip(
                    *(large_task(task_named(f"{partition}-{name}", "acct_one")) for name in "ab"), strict=True
                )
            )
        )
    )
    for partition in PARTITIONS
}


class Died(Exception):  # noqa: N818 (what happened)
    """The process of a replica is gone."""


class Connection(MemoryViews):
    """A replica's way to the shared store, which takes turns of the loop and ends with the replica."""

    def __init__(self, views: MemoryViews, turns_count: int) -> None:
        self._views, self._turns_count = views, turns_count
        self.is_open = True

    async def load(self, task_ids: Sequence[str]) -> dict[str, TaskRow]:
        await self._turn()
        return await self._views.load(task_ids)

    async def save(self, batch: BatchRows) -> set[str]:
        """Write events, segments and rows, as the real store does, with other writers in between."""
        await self._turn()
        await self._views.save(BatchRows({}, batch.events))
        await self._turn()
        await self._views.save(BatchRows({}, segments=batch.segments))
        await self._turn()
        return await self._views.save(BatchRows(batch.rows, new=batch.new))

    async def _turn(self) -> None:
        for _ in range(self._turns_count):
            await asyncio.sleep(0)
            if not self.is_open:
                raise Died


class Group:
    """Two replicas, the owner of each partition, and the offsets that they have committed.

    A step of a replica's store takes as many turns of the loop as ``pace`` says.
    """

    def __init__(self, pace: tuple[int, int] = (1, 1)) -> None:
        self.views, self._pace = MemoryViews(), pace
        self.owners = dict.fromkeys(PARTITIONS, 0)
        self.committed = dict.fromkeys(PARTITIONS, 0)
        self._batches: list[asyncio.Task[None]] = []
        self._running: dict[int, asyncio.Task[None]] = {}
        self.connections = [Connection(self.views, turns_count) for turns_count in pace]
        self.replicas = [Projection(connection, Notifier()) for connection in self.connections]

    def handle(self, replica: int, size: int) -> None:
        """Let a replica begin its next batch, unless it is still busy with the last."""
        if replica not in self._running or self._running[replica].done():
            self._running[replica] = asyncio.create_task(self._batch(replica, size))
            self._batches.append(self._running[replica])

    def take(self, partition: int) -> None:
        """Move a partition to the other replica, whatever the first is doing with it."""
        for replica in self.replicas:
            replica.forget(partition)
        self.owners[partition] = 1 - self.owners[partition]

    def kill(self, replica: int) -> None:
        """End a replica; the other takes its partitions, and a new process begins without any."""
        self.connections[replica].is_open = False
        self.connections[replica] = Connection(self.views, self._pace[replica])
        self.replicas[replica] = Projection(self.connections[replica], Notifier())
        self._running.pop(replica, None)
        for partition, owner in self.owners.items():
            if owner == replica:
                self.take(partition)

    async def finish(self) -> None:
        """Wait for all that is running, then read every partition to its end."""
        for outcome in await asyncio.gather(*self._batches, return_exceptions=True):
            assert outcome is None or isinstance(outcome, Died), outcome
        for replica in range(len(self.replicas)):
            await self._batch(replica, max(map(len, TOPIC.values())))

    async def _batch(self, replica: int, size: int) -> None:
        mine = [partition for partition, owner in self.owners.items() if owner == replica]
        await asyncio.gather(*(self._partition(replica, partition, size) for partition in mine))

    async def _partition(self, replica: int, partition: int, size: int) -> None:
        projection, connection = self.replicas[replica], self.connections[replica]
        first = self.committed[partition]
        with projection.expected():
            assert await projection.fold_tasks(partition, TOPIC[partition][first : first + size]) is None
        if connection.is_open and self.owners[partition] == replica:
            self.committed[partition] = min(first + size, len(TOPIC[partition]))


async def rebuilt() -> MemoryViews:
    """Fold the topics from their beginning, as a rebuild does."""
    views = MemoryViews()
    projection = Projection(views, Notifier())
    for partition, records in TOPIC.items():
        assert await projection.fold_tasks(partition, records) is None
    return views


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


TAKES: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (0, 1))
STEPS = st.tuples(
    st.sampled_from((7, 35, 70, 140)),
    st.sampled_from((0, 3, 40)),
    st.sampled_from(TAKES),
    st.sampled_from((None, None, None, 0, 1)),
)
PACES = st.sampled_from((1, 3, 20))


@settings(deadline=None, max_examples=60)
@given(st.tuples(PACES, PACES), st.lists(STEPS, min_size=1, max_size=8))
@example((1, 1), [(35, 40, (0, 1), None), (70, 40, (0, 1), None), (140, 40, (), None)])
@example((20, 1), [(35, 40, (0, 1), None), (140, 40, (), None)])
async def test_replicas_that_take_partitions_and_die_leave_what_a_rebuild_makes(
    pace: tuple[int, int], steps: list[tuple[int, int, tuple[int, ...], int | None]]
) -> None:
    group = Group(pace)
    for size, pause, taken, killed in steps:
        for replica in (0, 1):
            group.handle(replica, size)
        await turns(pause)
        for partition in taken:
            group.take(partition)
        if killed is not None:
            group.kill(killed)
    await group.finish()
    assert group.committed == {partition: len(records) for partition, records in TOPIC.items()}
    assert group.views == await rebuilt()


async def test_a_replica_killed_within_the_linger_has_written_nothing_and_the_next_leaves_what_a_rebuild_makes() -> (
    None
):
    group = Group()
    with group.replicas[0].expected():
        group.handle(0, 50)
        # Both partitions wait for a third, which asks for no save.
        await turns(30)
        assert group.views == MemoryViews()
        group.kill(0)
    assert group.views == MemoryViews()
    assert group.committed == dict.fromkeys(PARTITIONS, 0)
    await group.finish()
    assert group.views == await rebuilt()
