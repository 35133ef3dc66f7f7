"""The line as `winnow up` starts it, in a process of its own, seen from outside: its record, its API, its signals."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.eventually import eventually_sync
from tests.support.servers.line import free_port
from winnow.cli.line_access import ACCESS_FILE, LineAccess
from winnow.local.process import tail
from winnow.local.record import LineRecord, ProcessState

START_WITHIN_S = 600.0
"""A bound for a test that would else wait for ever; the line itself gives up what makes no progress."""


@dataclass
class StartedLine:
    """A running `winnow up`."""

    root: Path
    process: subprocess.Popen[bytes]
    output: Path

    @property
    def place(self) -> LineAccess:
        """Return its addresses and its first user's key."""
        return LineAccess.read(self.root)

    def record(self) -> LineRecord:
        """Return what it says about its processes."""
        return LineRecord.read(self.root)

    def state(self, name: str) -> ProcessState:
        """Return what it says about a process."""
        return next(each for each in self.record().processes if each.name == name)

    def kill(self, name: str) -> ProcessState:
        """SIGKILL a process; returns how it was before."""
        before = self.state(name)
        assert before.pid, f"{name} does not run: {before}"
        os.kill(before.pid, signal.SIGKILL)
        return before

    def came_back(self, before: ProcessState) -> bool:
        """Return whether a killed process was started again and is ready."""
        now = self.state(before.name)
        assert now.state != "given up", self.said()
        return now.state == "ready" and now.restarts > before.restarts and now.pid != before.pid

    def said(self) -> str:
        """Return the last lines of its terminal."""
        return "\n".join(tail(self.output, 40))

    def interrupt(self, within_s: float = 90.0) -> int:
        """Press Ctrl-C and wait; returns the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(within_s)


@contextlib.contextmanager
def started_line(root: Path, env: Mapping[str, str] | None = None) -> Iterator[StartedLine]:
    """Run `winnow up` on a new directory until the end of the context; yields when its API answers."""
    output = root.with_name(f"{root.name}-terminal.log")
    argv = [
        sys.executable,
        "-m",
        "winnow.cli.main",
        "up",
        "--data-dir",
        str(root),
        "--api-port",
        str(free_port()),
    ]
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("WINNOW_")}
    _hear_ctrl_c()
    with output.open("wb") as text:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=text,
            stderr=subprocess.STDOUT,
            env=surroundings | {"COLUMNS": "250"} | dict(env or {}),
            start_new_session=True,
        )
    line = StartedLine(root, process, output)
    try:
        eventually_sync(lambda: _answers(line), within_s=START_WITHIN_S, every_s=0.2)
        yield line
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(90)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _hear_ctrl_c() -> None:
    """Undo what a shell does to a run in the background: it and its children start with Ctrl-C ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _answers(line: StartedLine) -> bool:
    if line.process.poll() is not None:
        raise RuntimeError(f"winnow up left with {line.process.returncode}: {line.said()}")
    return (line.root / ACCESS_FILE).exists()
