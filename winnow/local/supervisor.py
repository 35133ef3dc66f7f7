"""Runs processes in layers, starts those again that end on their own, and stops all in reverse."""

from __future__ import annotations

import http.client
import os
import select
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from winnow.local.process import Managed, started_at
from winnow.local.record import ProcessState
from winnow.local.restarts import NO_RESTARTS, RestartPolicy
from winnow.local.supervised import LOOK_EVERY_S, NO_PROGRESS_S, Answer, Notice, State, Supervised

_WATCH_EVERY_S: Final = 0.2
Progress = Callable[[str, str], None]
"""Takes (process, step), a step being a State or "waiting"."""
Show = Callable[[Iterable[ProcessState]], None]


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A process to run; it is ready when ``ready_url`` answers 200.

    The line cannot start without one that ``is_needed``; the others may be given up.
    """

    name: str
    argv: Sequence[str]
    ready_url: str
    env: Mapping[str, str] = field(default_factory=dict)
    kind: str = "service"
    is_needed: bool = True


@dataclass(frozen=True, slots=True)
class Care:
    """Care of processes: the policy, and for how long a start may make no progress."""

    policy: RestartPolicy = NO_RESTARTS
    no_progress_s: float = NO_PROGRESS_S


class Supervisor:
    """The processes of the line, and the servers that it adopts.

    Without a policy of restarts the first end is an error for ``start`` and ``check`` to raise.
    """

    def __init__(
        self,
        logs: Path,
        progress: Progress = lambda _name, _step: None,
        *,
        care: Care | None = None,
        notice: Notice = lambda _: None,
        show: Show = lambda _: None,
    ) -> None:
        """Write one log file a process below ``logs``.

        ``progress`` takes each step of a start. ``notice`` takes a sentence about each failure and ``show`` the states
        of all processes at each change, also from the thread that watches.
        """
        self._logs = logs
        self._progress = progress
        self._care = care or Care()
        self._notice = notice
        self._show = show
        # Loopback is asked without the user's proxy.
        self._http = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._started: list[Supervised] = []
        self._adopted: list[Supervised] = []
        self._looking = threading.Lock()
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None

    @property
    def processes(self) -> list[Managed]:
        """Return the processes that it started, in the order of starting."""
        return [unit.process for unit in self._started]

    def adopt(self, servers: Sequence[Supervised]) -> None:
        """Watch servers that run already; who started them stops them."""
        self._adopted += servers
        self._show_all()

    def start(self, layers: Sequence[Sequence[ProcessSpec]]) -> None:
        """Start layer after layer, waiting for all of a layer at once.

        Raises ServerDidNotStart when a process that is needed is given up; then the caller stops the rest.
        """
        for layer in layers:
            units = [self._launch(spec) for spec in layer]
            while not all(unit.is_settled for unit in units):
                self._look()
                for unit in units:
                    if unit.error is not None and unit.is_needed:
                        raise unit.error
                time.sleep(LOOK_EVERY_S)

    def watch(self) -> None:
        """Look after all processes from a thread of its own, until ``stop``."""
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._watcher.start()

    def check(self) -> None:
        """Raise ServerDidNotStart or ServerEnded when a process was given up."""
        for unit in (*self._adopted, *self._started):
            if unit.error is not None:
                raise unit.error
            if self._watcher is None:
                unit.process.check_running()

    def given_up(self) -> list[str]:
        """Return the names of the processes that were given up."""
        return [unit.name for unit in (*self._adopted, *self._started) if unit.error is not None]

    def forget(self, process: Managed) -> None:
        """Look after a process no longer; it was stopped by the caller."""
        self._started = [unit for unit in self._started if unit.process is not process]

    def stop(self, grace_s: float = 25.0) -> None:
        """Ask all to end, last started first, and kill those that still run when ``grace_s`` is over."""
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join()
        for unit in reversed(self._started):
            unit.process.terminate()
        deadline_s = time.monotonic() + grace_s
        for unit in reversed(self._started):
            unit.process.stop(max(0.0, deadline_s - time.monotonic()))
            unit.stopped()
        self._show_all()
        self._started.clear()
        self._adopted.clear()

    def _launch(self, spec: ProcessSpec) -> Supervised:
        # The user's AWS profile and endpoint are for other stores.
        log = self._logs / f"{spec.name}.log"
        unit = Supervised(
            Managed(spec.name, spec.argv, log=log, env=spec.env, without=("AWS_",)),
            lambda: self._ask(spec.ready_url),
            kind=spec.kind,
            address=spec.ready_url.removesuffix("/readyz"),
            is_needed=spec.is_needed,
            no_progress_s=self._care.no_progress_s,
        )
        self._started.append(unit)
        self._progress(spec.name, State.starting.value)
        unit.start()
        self._show_all()
        return unit

    def _ask(self, url: str) -> Answer:
        try:
            with self._http.open(url, timeout=3) as answer:
                return Answer(answer.status == 200)
        except urllib.error.HTTPError as error:
            with error:
                return Answer(is_ready=False, text=error.read(2000).decode(errors="replace"))
        except (OSError, http.client.HTTPException):
            return Answer(is_ready=False)

    def _watch(self) -> None:
        while not self._stopping.wait(_WATCH_EVERY_S):
            self._look()

    def _look(self) -> None:
        with self._looking:
            units = [*self._adopted, *self._started]
            for unit in units:
                before = unit.state
                is_ready = {each.name: each.state is State.ready for each in units}
                may_start = all(is_ready.get(name, True) for name in unit.needs)
                unit.look(self._care.policy, may_start=may_start, notice=self._notice)
                if unit.state is not before:
                    self._show_all()
                    if self._watcher is None:
                        self._progress(unit.name, unit.state.value)

    def _show_all(self) -> None:
        self._show(unit.describe() for unit in (*self._adopted, *self._started))


def stop_other(state: Mapping[str, object], within_s: float = 60.0) -> bool:
    """Stop the stack that another terminal started, by its process id; False when none runs.

    The process is held by a descriptor before its start time is compared. A later process with the same id is
    therefore never hit. Its servers end with it, also when it must be killed.
    """
    pid = state.get("pid")
    if not isinstance(pid, int):
        return False
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if started_at(pid) is None or started_at(pid) != state.get("pid_started_at"):
            return False
        for number in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(descriptor, number)
            # The descriptor becomes readable when the process ends.
            if select.select([descriptor], [], [], within_s)[0]:
                break
    except ProcessLookupError:  # it ended meanwhile
        pass
    finally:
        os.close(descriptor)
    return True
