"""The simulated world: processes that can be killed at any call, and the calls that faults strike."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from tests.simulation.loop import VirtualLoop
from tests.simulation.script import TIMED, Fault, Kind, Script

T = TypeVar("T")
_TIDY_AT = 64
"""Ended tasks that a process may carry along."""
START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
FAULTS_END_S = 12.0
"""From then on nothing fails any more: what is promised must come true."""
_PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)


class Process:
    """One start of a service: its tasks die with it, and what it had not written is gone."""

    def __init__(self, world: SimulatedWorld, service: str, replica: int, start: int) -> None:
        self.world = world
        self.service = service
        self.replica = replica
        self.name = f"{service}-{replica}"
        self.start = start
        self.dice = random.Random(f"{world.script.seed} {self.name} {start}")
        skews = random.Random(f"{world.script.seed} {self.name} clock")
        self.clock = SimulatedClock(world.loop, skews.choice((0.0, 0.0, 0.05, -0.05, 1.0, -1.0)))
        self.dead = False
        self.stalled_until_s = 0.0
        self.tasks: list[asyncio.Task[Any]] = []
        self._tidy_at = _TIDY_AT
        self.on_death: list[Callable[[], None]] = []

    def run(self, coroutine: Coroutine[Any, Any, Any], *, vital: bool = False) -> None:
        """Run something as this process; when something ``vital`` ends by an error, the process ends."""
        task = self.spawn(coroutine)
        if vital:
            task.add_done_callback(self._vital_ended)

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start something as this process; return its task."""
        context = contextvars.copy_context()
        context.run(_PROCESS.set, self)
        return self.world.loop.create_task(coroutine, context=context)

    def own(self, task: asyncio.Task[Any]) -> None:
        """Let a task die with the process."""
        self.tasks.append(task)
        if len(self.tasks) > self._tidy_at:
            self.tasks = [known for known in self.tasks if not known.done()]
            self._tidy_at = len(self.tasks) + _TIDY_AT

    def _vital_ended(self, task: asyncio.Task[Any]) -> None:
        if not self.dead and (task.cancelled() or task.exception() is not None):
            error = None if task.cancelled() else task.exception()
            self.world.note(f"{self.name} ends by {type(error).__name__}: {error}")
            self.world.ended_by_error[f"{self.service} {type(error).__name__}"] += 1
            self.kill()

    def kill(self, down_s: float | None = None) -> None:
        """End at once, as by SIGKILL, and start anew a moment later."""
        if self.dead:
            return
        self.dead = True
        world = self.world
        world.note(f"{self.name} dies")
        for action in self.on_death:
            action()
        for task in self.tasks:
            task.cancel()
        self.tasks.clear()
        wait_s = self.dice.uniform(0.05, 2.0) if down_s is None else down_s
        world.loop.call_later(wait_s, world.restart, self.service, self.replica)

    async def call(
        self, name: str, effect: Callable[[], T], failure: Callable[[], Exception], *, quick: bool = False
    ) -> T:
        """Make a call to the outside: it takes a moment, and faults strike before or after its effect."""
        kind, seconds = self.world.struck(self.service, name)
        about_s = 0.0002 if quick else 0.001
        if kind is None and not self.dead:
            passing = _Passing(self, effect, about_s)
            if await passing.done:
                return passing.result
            await self._stand_still()
            if passing.took_effect:
                return passing.result
        else:
            await self.pause(about_s, seconds)
        if kind is Kind.crash_before:
            self.kill()
            await asyncio.sleep(0)
        if kind is Kind.fail:
            raise failure()
        result = effect()
        if kind is Kind.crash_after:
            self.kill()
            await asyncio.sleep(0)
        await self.pause(0.0001, 0)
        if kind is Kind.lose_reply:
            raise failure()
        return result

    async def pause(self, about_s: float, seconds: float) -> None:
        """Let a seeded time pass; a process that died or stands still does not go on."""
        if not self.dead:
            await self.world.loop.sleep(about_s * (0.2 + 3 * self.dice.random()) + seconds)
        await self._stand_still()

    async def _stand_still(self) -> None:
        while not self.dead and self.world.loop.now_s < self.stalled_until_s:
            await asyncio.sleep(self.stalled_until_s - self.world.loop.now_s)
        if self.dead:
            raise asyncio.CancelledError


class _Passing:
    """A call that no fault strikes: two moments with the effect at the first, and its caller wakes once.

    ``done`` ends with False when the process stands still, or is dead, at one of the moments.
    """

    __slots__ = ("_effect", "_loop", "_process", "done", "result", "took_effect")

    def __init__(self, process: Process, effect: Callable[[], Any], about_s: float) -> None:
        self._process = process
        self._effect = effect
        self._loop = loop = process.world.loop
        self.took_effect = False
        self.result: Any = None
        self.done: asyncio.Future[bool] = asyncio.Future(loop=loop)
        loop.wait(about_s * (0.2 + 3 * process.dice.random()), self._go_on)

    def _go_on(self) -> None:
        process, done = self._process, self.done
        if done.done():
            return
        is_held_up = process.dead or self._loop.now_s < process.stalled_until_s
        if is_held_up or self.took_effect:
            done.set_result(not is_held_up)
            return
        try:
            self.result = self._effect()
        except Exception as error:
            done.set_exception(error)
        else:
            self.took_effect = True
            self._loop.wait(0.0001 * (0.2 + 3 * process.dice.random()), self._go_on)


class SimulatedClock:
    """A machine's clock, on virtual time; no two machines need agree."""

    def __init__(self, loop: VirtualLoop, skew_s: float = 0.0) -> None:
        self._loop = loop
        self._skew_s = skew_s
        self._read_at_s = -1.0
        self._now = START

    def now(self) -> datetime:
        loop_s = self._loop.now_s
        if loop_s != self._read_at_s:
            self._read_at_s = loop_s
            self._now = START + timedelta(microseconds=round((loop_s + self._skew_s) * 1_000_000))
        return self._now

    def monotonic_s(self) -> float:
        return self._loop.now_s


class SimulatedWorld:
    """Everything that outlives a process, and the list of faults still to come."""

    def __init__(self, script: Script, *, trace: Callable[[str], None] | None = None) -> None:
        self.script = script
        self.loop = VirtualLoop(self._created)  # type: ignore[abstract]
        self.clock = SimulatedClock(self.loop)
        self.dice = random.Random(f"{script.seed} world")
        self.processes: dict[tuple[str, int], Process] = {}
        self.starts: Counter[tuple[str, int]] = Counter()
        self.build: Callable[[Process], None] = lambda _: None
        self.ended_by_error: Counter[str] = Counter()
        self.struck_count = 0
        self._trace = trace
        self._calls: dict[tuple[str, str], int] = {}
        self._faults: dict[tuple[str, str], dict[int, Fault]] = {}
        for fault in script.faults:
            if fault.kind not in TIMED:
                service, _, call = fault.place.partition(".")
                self._faults.setdefault((service, call), {}).setdefault(fault.nth, fault)

    def note(self, text: str) -> None:
        """Write a line of the story of this run, when somebody reads it."""
        if self._trace is not None:
            self._trace(f"{self.loop.now_s:9.4f}  {text}")

    @property
    def traced(self) -> bool:
        """Return whether somebody reads the story."""
        return self._trace is not None

    def struck(self, service: str, call: str) -> tuple[Kind | None, float]:
        """Count a call; return the fault that strikes it."""
        key = (service, call)
        nth = self._calls.get(key, 0)
        self._calls[key] = nth + 1
        faults = self._faults.get(key)
        fault = None if faults is None else faults.get(nth)
        if fault is None or self.loop.now_s >= FAULTS_END_S:
            return None, 0.0
        self.struck_count += 1
        self.note(f"FAULT {fault}")
        return fault.kind, fault.seconds

    def start(self, service: str, replica: int) -> None:
        """Start a process."""
        number = self.starts[service, replica]
        self.starts[service, replica] = number + 1
        process = Process(self, service, replica, number)
        self.processes[service, replica] = process
        self.note(f"{process.name} starts ({number})")
        self.build(process)

    def restart(self, service: str, replica: int) -> None:
        """Start a process again, unless it runs."""
        if self.processes[service, replica].dead:
            self.start(service, replica)

    def close(self) -> None:
        """End everything that still runs."""
        for process in self.processes.values():
            process.kill()
        self.loop.settle()

    def alive(self, service: str) -> list[Process]:
        """Return the running processes of a service."""
        return [
            process for process in self.processes.values() if process.service == service and not process.dead
        ]

    def _created(self, task: asyncio.Task[Any]) -> None:
        process = _PROCESS.get()
        if process is None:
            return
        if process.dead:
            task.cancel()
            return
        process.own(task)
