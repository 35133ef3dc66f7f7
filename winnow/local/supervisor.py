"""Runs processes in layers: each layer is ready before the next starts, and all stop in reverse."""

from __future__ import annotations

import http.client
import os
import select
import signal
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from winnow.local.process import Managed, started_at

_LOOK_EVERY_S: Final = 0.05
Progress = Callable[[str, str], None]
"""Told (process, "starting" | "ready")."""


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A process to run; it is ready when ``ready_url`` answers 200."""

    name: str
    argv: Sequence[str]
    ready_url: str
    env: Mapping[str, str] = field(default_factory=dict)
    ready_within_s: float = 90.0


class Supervisor:
    """The processes of the line."""

    def __init__(self, logs: Path, progress: Progress = lambda _name, _step: None) -> None:
        """Write one log file a process below ``logs``."""
        self._logs = logs
        self._progress = progress
        # Loopback is asked without the user's proxy.
        self._http = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.processes: list[Managed] = []

    def start(self, layers: Sequence[Sequence[ProcessSpec]]) -> None:
        """Start layer after layer, waiting for all of a layer at once; raises ServerDidNotStart, then the caller stops the rest."""
        for layer in layers:
            waiting = [(spec, self._launch(spec), time.monotonic() + spec.ready_within_s) for spec in layer]
            while waiting:
                waiting = [one for one in waiting if not self._is_ready(*one)]
                if waiting:
                    time.sleep(_LOOK_EVERY_S)

    def _is_ready(self, spec: ProcessSpec, process: Managed, deadline_s: float) -> bool:
        if process.ready(lambda: self._answers(spec.ready_url)):
            self._progress(spec.name, "ready")
            return True
        if time.monotonic() > deadline_s:
            raise process.late(spec.ready_within_s)
        return False

    def _answers(self, url: str) -> bool:
        try:
            with self._http.open(url, timeout=3) as answer:
                return bool(answer.status == 200)
        except (OSError, http.client.HTTPException):
            return False

    def _launch(self, spec: ProcessSpec) -> Managed:
        # The user's AWS profile and endpoint are for other stores.
        log = self._logs / f"{spec.name}.log"
        process = Managed(spec.name, spec.argv, log=log, env=spec.env, without=("AWS_",))
        self._progress(spec.name, "starting")
        process.start()
        self.processes.append(process)
        return process

    def check(self) -> None:
        """Raise ServerEnded when a process has ended on its own."""
        for process in self.processes:
            process.check_running()

    def stop(self, grace_s: float = 25.0) -> None:
        """Ask all to end, last started first, and kill those that still run when ``grace_s`` is over."""
        for process in reversed(self.processes):
            process.terminate()
        deadline_s = time.monotonic() + grace_s
        for process in reversed(self.processes):
            process.stop(max(0.0, deadline_s - time.monotonic()))
        self.processes.clear()


def stop_other(state: Mapping[str, object], within_s: float = 60.0) -> bool:
    """Stop the stack that another terminal started, by its process id; False when none runs.

    The process is held by a descriptor before its start time is compared, so a later process that was given the
    same id is never hit. Its servers end with it, also when it must be killed.
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
