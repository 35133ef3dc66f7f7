"""The read model is written once for all partitions of a batch."""

from __future__ import annotations

import asyncio

import pytest

from services.ingest.app import shared_save
from services.ingest.app.shared_save import SharedSave
from services.ingest.domain.task_row import BatchRows, TaskRow
from services.ingest.domain.views import TaskView


class Store:
    """Store that notes the tasks of each save; it says that those in ``newer`` are newer, or fails."""

    def __init__(self, newer: set[str] | None = None, error: Exception | None = None) -> None:
        self.saves: list[set[str]] = []
        self._newer, self._error = newer or set(), error

    async def save(self, batch: BatchRows) -> set[str]:
        self.saves.append(set(batch.rows))
        if self._error is not None:
            raise self._error
        return self._newer & set(batch.rows)


class Slow(Store):
    """Store whose save of ``task_slow`` lasts until it is told that it was written."""

    def __init__(self) -> None:
        super().__init__()
        self.is_saving, self.written = asyncio.Event(), asyncio.Event()

    async def save(self, batch: BatchRows) -> set[str]:
        newer = await super().save(batch)
        if "task_slow" in batch.rows:
            self.is_saving.set()
            await self.written.wait()
        return newer


def batch_of(task_id: str) -> BatchRows:
    return BatchRows({task_id: TaskRow(TaskView(task_id, "acct_one"))}, new=frozenset({task_id}))


async def partition(saves: SharedSave, task_id: str, ready: asyncio.Event | None = None) -> set[str]:
    with saves.expected():
        if ready is not None:
            await ready.wait()
        return await saves.save(batch_of(task_id))


@pytest.fixture(autouse=True)
def no_lingering(monkeypatch: pytest.MonkeyPatch) -> None:
    """A save that waited for its longest wait would outlast the test."""
    monkeypatch.setattr(shared_save, "LINGER_S", 3600.0)


async def test_partitions_of_a_batch_are_saved_at_once() -> None:
    store = Store(newer={"task_b"})
    saves, ready = SharedSave(store.save), asyncio.Event()
    asked = asyncio.gather(partition(saves, "task_a"), partition(saves, "task_b", ready))
    await asyncio.sleep(0)
    assert store.saves == []
    ready.set()
    assert list(await asked) == [{"task_b"}, {"task_b"}]
    assert store.saves == [{"task_a", "task_b"}]


async def test_a_partition_that_brings_nothing_is_not_waited_for() -> None:
    store = Store()
    saves, ready = SharedSave(store.save), asyncio.Event()

    async def empty() -> None:
        with saves.expected():
            await ready.wait()

    asked = asyncio.gather(partition(saves, "task_a"), empty())
    await asyncio.sleep(0)
    ready.set()
    await asked
    assert store.saves == [{"task_a"}]


async def test_a_task_that_somebody_follows_is_saved_at_once() -> None:
    store = Store()
    saves = SharedSave(store.save)
    with saves.expected(), saves.expected():
        assert await saves.save(batch_of("task_a"), at_once=True) == set()
    assert store.saves == [{"task_a"}]


async def test_a_partition_whose_save_is_running_is_not_waited_for() -> None:
    store = Slow()
    saves = SharedSave(store.save)
    slow = asyncio.create_task(partition(saves, "task_slow"))
    await store.is_saving.wait()
    assert await partition(saves, "task_b") == set()
    assert store.saves == [{"task_slow"}, {"task_b"}]
    store.written.set()
    await slow


async def test_all_others_are_waited_for_while_a_save_is_running() -> None:
    store = Slow()
    saves, ready = SharedSave(store.save), asyncio.Event()
    slow = asyncio.create_task(partition(saves, "task_slow"))
    await store.is_saving.wait()
    asked = asyncio.gather(partition(saves, "task_b"), partition(saves, "task_c", ready))
    for _ in range(5):
        await asyncio.sleep(0)
    assert store.saves == [{"task_slow"}]
    ready.set()
    await asked
    assert store.saves == [{"task_slow"}, {"task_b", "task_c"}]
    store.written.set()
    await slow


async def test_a_save_waits_for_others_no_longer_than_the_longest_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_save, "LINGER_S", 0.001)
    store = Store()
    saves = SharedSave(store.save)
    with saves.expected(), saves.expected():
        await saves.save(batch_of("task_a"))
    assert store.saves == [{"task_a"}]


async def test_a_failed_save_fails_all_that_shared_it_and_none_after_it() -> None:
    store = Store(error=OSError())
    saves, ready = SharedSave(store.save), asyncio.Event()
    asked = asyncio.gather(
        partition(saves, "task_a"), partition(saves, "task_b", ready), return_exceptions=True
    )
    await asyncio.sleep(0)
    ready.set()
    assert [type(error) for error in await asked] == [OSError, OSError]
    store._error = None
    assert await partition(saves, "task_c") == set()
