"""One save of the read model for all partitions of a batch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

from services.ingest.domain.task_row import BatchRows, joined

LINGER_S: Final = 0.03
"""The longest wait of a save for the other partitions of its batch."""


class SharedSave:
    """Gathers saves until every partition that is being handled has asked, or the longest wait is over."""

    def __init__(self, save: Callable[[BatchRows], Awaitable[set[str]]]) -> None:
        """Save with ``save``."""
        self._save = save
        self._expected = 0
        self._saving = 0
        self._waiting: list[tuple[BatchRows, asyncio.Future[set[str]]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Task[None]] = set()

    @contextmanager
    def expected(self) -> Iterator[None]:
        """Expect one more partition to ask, at most once."""
        self._expected += 1
        try:
            yield
        finally:
            self._expected -= 1
            self._save_if_all_asked()

    async def save(self, batch: BatchRows, *, at_once: bool = False) -> set[str]:
        """Save a batch with those of others; return the tasks whose stored row was newer, raise what ``save`` raised."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[set[str]] = loop.create_future()
        self._waiting.append((batch, done))
        if at_once:
            self._start()
        elif self._timer is None:
            self._timer = loop.call_later(LINGER_S, self._start)
        # Partitions that begin in this turn of the loop are counted first.
        loop.call_soon(self._save_if_all_asked)
        return await done

    def _save_if_all_asked(self) -> None:
        # A partition asks once, so none whose save is running will ask.
        if self._waiting and len(self._waiting) >= self._expected - self._saving:
            self._start()

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._saving += len(waiting)
            task = asyncio.get_running_loop().create_task(self._run(waiting))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _run(self, waiting: list[tuple[BatchRows, asyncio.Future[set[str]]]]) -> None:
        try:
            newer = await self._save(joined([batch for batch, _ in waiting]))
        except Exception as error:  # noqa: BLE001 (given to every caller)
            for _, done in waiting:
                if not done.done():
                    done.set_exception(error)
        else:
            for _, done in waiting:
                if not done.done():
                    done.set_result(newer)
        finally:
            self._saving -= len(waiting)
