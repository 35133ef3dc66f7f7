"""An event loop on virtual time: a wait costs nothing, and everything that runs is a function of the seed."""

from __future__ import annotations

import asyncio
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from functools import partial
from heapq import heappop, heappush
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

STEPS_MAX = 500_000
"""Callbacks in one run; more means that something spins."""


class Spinning(Exception):  # noqa: N818
    """A run did not come to an end."""


class Handle(list[Any]):
    """A callback, its arguments and its context; a list, because a run makes a thousand of them for each task."""

    __slots__ = ()

    def cancel(self) -> None:
        """Let the callback not run."""
        self[:] = (None, (), None)

    def cancelled(self) -> bool:
        """Return whether the callback will not run."""
        return self[0] is None


class VirtualLoop(asyncio.AbstractEventLoop):
    """First in, first out, as asyncio promises; when nothing is ready, time jumps to the next timer."""

    def __init__(self, created: Callable[[asyncio.Task[Any]], None]) -> None:
        """Notify ``created`` of every task, so that a process can be killed whole."""
        self._created = created
        self._ready: deque[Handle] = deque()
        self._timers: list[tuple[float, int, Handle | asyncio.Future[None] | Callable[[], None]]] = []
        self._serial = 0
        self.now_s = 0.0
        self._stopping = False
        self._running = False
        self.failures: list[dict[str, Any]] = []
        self.steps = 0
        self.create_future = partial(asyncio.Future, loop=self)  # type: ignore[method-assign]

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
                self._call(self._ready.popleft())
        finally:
            events._set_running_loop(None)

    def _spin(self) -> None:
        ready, timers = self._ready, self._timers
        steps = 0
        while not self._stopping:
            steps += 1
            if steps > STEPS_MAX:
                msg = f"more than {STEPS_MAX} steps at {self.now_s} s"
                raise Spinning(msg)
            if ready:
                callback, args, context = handle = ready.popleft()
                if callback is None:
                    continue
                try:
                    context.run(callback, *args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:
                    self._failed(handle, error)
            elif timers:
                self._jump(*heappop(timers))
            else:
                msg = "nothing is left to run"
                raise Spinning(msg)
        self.steps += steps

    def _jump(self, when_s: float, _serial: int, waiting: Any) -> None:
        """Let the time of a timer come, unless nobody waits for it any more."""
        kind = waiting.__class__
        if kind is Handle:
            if waiting[0] is None:
                return
        elif kind is asyncio.Future and waiting.done():
            return
        self.now_s = max(self.now_s, when_s)
        if kind is Handle:
            self._ready.append(waiting)
        elif kind is asyncio.Future:
            waiting.set_result(None)
        else:
            waiting()

    def _call(self, handle: Handle) -> None:
        callback, args, context = handle
        if callback is None:
            return
        try:
            context.run(callback, *args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._failed(handle, error)

    def _failed(self, handle: Handle, error: BaseException) -> None:
        self.call_exception_handler({"message": f"in callback {handle[0]}", "exception": error})

    def stop(self) -> None:
        self._stopping = True

    def time(self) -> float:
        return self.now_s

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return False

    get_debug = staticmethod(bool)
    """False, without a call of Python code: asyncio asks at every future."""

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Handle:
        handle = Handle((callback, args, copy_context() if context is None else context))
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Handle:
        return self.call_at(self.now_s + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Handle:
        handle = Handle((callback, args, copy_context() if context is None else context))
        self._serial += 1
        heappush(self._timers, (when, self._serial, handle))
        return handle

    def wait(self, delay_s: float, waiting: asyncio.Future[None] | Callable[[], None]) -> None:
        """Set a timer: a future gets a result then, a function is called outside every process."""
        self._serial += 1
        heappush(self._timers, (self.now_s + delay_s, self._serial, waiting))

    async def sleep(self, delay_s: float) -> None:
        """Do what ``asyncio.sleep`` does, with less around it."""
        if delay_s <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.Future(loop=self)
        self.wait(delay_s, future)
        await future

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
