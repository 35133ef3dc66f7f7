"""An event loop on virtual time: a wait costs nothing, and everything that runs is a function of the seed."""

from __future__ import annotations

import asyncio
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

STEPS_MAX = 500_000
"""Callbacks in one run; more means that something spins."""


class Spinning(Exception):  # noqa: N818
    """A run did not come to an end."""


class VirtualLoop(asyncio.AbstractEventLoop):
    """First in, first out, as asyncio promises; when nothing is ready, time jumps to the next timer."""

    def __init__(self, created: Callable[[asyncio.Task[Any]], None]) -> None:
        """Notify ``created`` of every task, so that a process can be killed whole."""
        self._created = created
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._serial = 0
        self._now_s = 0.0
        self._stopping = False
        self._running = False
        self.failures: list[dict[str, Any]] = []
        self.steps = 0

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Run until ``main`` ends; raises what it raised."""
        self._running = True
        events._set_running_loop(self)
        try:
            task = self.create_task(main)
            task.add_done_callback(lambda _: self.stop())
            self._spin()
            task.result()
        finally:
            self._stopping = False
            events._set_running_loop(None)
            self._running = False

    def settle(self) -> None:
        """Let cancelled tasks end, without letting time pass."""
        events._set_running_loop(self)
        try:
            while self._ready:
                handle = self._ready.popleft()
                if not handle._cancelled:
                    handle._run()
        finally:
            events._set_running_loop(None)

    def _spin(self) -> None:
        ready, timers = self._ready, self._timers
        while not self._stopping:
            if not ready:
                if not timers:
                    msg = "nothing is left to run"
                    raise Spinning(msg)
                when_s, _, timer = heapq.heappop(timers)
                if timer._cancelled:
                    continue
                self._now_s = max(self._now_s, when_s)
                timer._run()
            else:
                handle = ready.popleft()
                if not handle._cancelled:
                    handle._run()
            self.steps += 1
            if self.steps > STEPS_MAX:
                msg = f"more than {STEPS_MAX} steps at {self._now_s} s"
                raise Spinning(msg)

    def stop(self) -> None:
        self._stopping = True

    def time(self) -> float:
        return self._now_s

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return False

    def get_debug(self) -> bool:
        return False

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        self._serial += 1
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, self._serial, timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer is passed over when its time comes."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Any, *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name or "task", context=context)
        if context is None:
            self._created(task)
        else:
            context.run(self._created, task)
        return task

    def run_in_executor(
        self, executor: Any, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run at once: what goes to a thread here is short and pure."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.failures.append(context)
