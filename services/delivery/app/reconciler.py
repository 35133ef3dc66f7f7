"""Runs the long work that states ask for: started by decisions and commits, resumed after a load, stopped with the shard."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final

from services.delivery.app import metrics
from services.delivery.domain.task import TaskDelivery
from services.delivery.domain.work import WorkItem, wanted, wanted_before_commit
from winnow.contracts.envelope import Message, RecordedMessage
from winnow.contracts.ids import shard_of
from winnow.eventstore import Block, NotOwner
from winnow.runtime.backoff import Backoff
from winnow.runtime.log import get_logger

_log = get_logger(__name__)
_BACKOFF_FIRST_S: Final = 0.2
_BACKOFF_MAX_S: Final = 15.0

Perform = Callable[[WorkItem, TaskDelivery], Awaitable[None]]
"""Does one piece of work and submits its result; raises when it is to be tried again."""


class Reconciler:
    """The journal's listener: keeps the running work equal to what the states want."""

    def __init__(self, perform: Perform, *, shards: int) -> None:
        """Run work with ``perform``, which bounds itself."""
        self._perform = perform
        self._shards = shards
        self._running: dict[WorkItem, asyncio.Task[None]] = {}
        self._stopping = False

    def decided(self, state: TaskDelivery) -> None:
        """Start what need not wait for the commit of a new state."""
        self._start(state, wanted_before_commit(state))

    def committed(self, block: Block) -> None:
        """Do nothing: states say what is wanted."""

    def changed(
        self,
        aggregate_id: str,  # noqa: ARG002 (the journal's port names the arguments)
        state: TaskDelivery,
        recorded: Sequence[RecordedMessage[Message]],  # noqa: ARG002
    ) -> None:
        """Start what a new state wants."""
        self._start(state, wanted(state))

    def loaded(self, shard: str, states: Mapping[str, TaskDelivery]) -> None:  # noqa: ARG002
        """Resume the work of a shard."""
        for state in states.values():
            self._start(state, wanted(state))

    def unloaded(self, shard: str) -> None:
        """Stop the work of a shard; its next owner resumes it."""
        for work in [
            running for running in self._running if str(shard_of(running.task_id, self._shards)) == shard
        ]:
            self._running.pop(work).cancel()

    async def stop(self, within_s: float) -> None:
        """Start nothing more, give what runs a moment to end, then stop it; it is resumed from state."""
        self._stopping = True
        tasks = list(self._running.values())
        if tasks:
            await asyncio.wait(tasks, timeout=within_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, state: TaskDelivery, items: Iterable[WorkItem]) -> None:
        if self._stopping:
            return
        for work in items:
            if work in self._running:
                continue
            task = asyncio.get_running_loop().create_task(self._run(work, state), name=type(work).__name__)
            self._running[work] = task
            task.add_done_callback(lambda done, work=work: self._ended(work, done))  # type: ignore[misc]

    def _ended(self, work: WorkItem, task: asyncio.Task[None]) -> None:
        if self._running.get(work) is task:
            del self._running[work]

    async def _run(self, work: WorkItem, state: TaskDelivery) -> None:
        name = type(work).__name__
        backoff = Backoff(f"{name}:{work.task_id}", _BACKOFF_FIRST_S, _BACKOFF_MAX_S)
        with metrics.WORK_RUNNING.labels(name).track_inprogress():
            while True:
                try:
                    await self._perform(work, state)
                except NotOwner:
                    return
                except Exception as error:  # noqa: BLE001 (whatever fails, the state still wants the work)
                    metrics.WORK_RETRIES.labels(name).inc()
                    wait_s = backoff.next_s()
                    _log.warning(
                        "delivery.work.retried",
                        work=name,
                        task_id=work.task_id,
                        error=type(error).__name__,
                        wait_s=wait_s,
                    )
                else:
                    return
                await asyncio.sleep(wait_s)
