"""Runs processes in layers: each layer is ready before the next starts, and all stop in reverse."""

from __future__ import annotations

import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from winnow.local.process import Managed, ServerDidNotStart, started_at

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


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:  # noqa: S310 (loopback addresses of our own)
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


class Supervisor:
    """The processes of the line."""

    def __init__(self, logs: Path, progress: Progress = lambda _name, _step: None) -> None:
        """Write one log file a process below ``logs``."""
        self._logs = logs
        self._progress = progress
        self.processes: list[Managed] = []

    def start(self, layers: Sequence[Sequence[ProcessSpec]]) -> None:
        """Start layer after layer; raises ServerDidNotStart, then the caller stops the rest."""
        for layer in layers:
            started = [(spec, self._launch(spec)) for spec in layer]
            for spec, process in started:
                process.wait_ready(lambda spec=spec: _answers(spec.ready_url), spec.ready_within_s)  # type: ignore[misc]
                self._progress(spec.name, "ready")

    def _launch(self, spec: ProcessSpec) -> Managed:
        process = Managed(spec.name, spec.argv, log=self._logs / f"{spec.name}.log", env=spec.env)
        self._progress(spec.name, "starting")
        process.start()
        self.processes.append(process)
        return process

    def check(self) -> None:
        """Raise when a process has ended on its own."""
        for process in self.processes:
            if process.exit_code is not None:
                raise ServerDidNotStart(
                    process.name, f"it ended with status {process.exit_code}", process.log
                )

    def stop(self, grace_s: float = 25.0) -> None:
        """Ask all to end, last started first, and wait for each."""
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            process.stop(grace_s)
        self.processes.clear()


def stop_other(state: Mapping[str, object], within_s: float = 60.0) -> bool:
    """Stop the stack that another terminal started, by its process id; False when none runs."""
    pid = state.get("pid")
    if not isinstance(pid, int) or started_at(pid) is None or started_at(pid) != state.get("pid_started_at"):
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + within_s
    while started_at(pid) == state.get("pid_started_at"):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            break
        time.sleep(0.1)
    return True
