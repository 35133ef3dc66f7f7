"""One server process: started, waited for, stopped by its process id, and never left behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_TAIL_LINES: Final = 15
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class ServerDidNotStart(Exception):  # noqa: N818 (the noun of the problem)
    """A server ended or did not answer in time; the text names it and shows its last lines."""

    def __init__(self, name: str, reason: str, log: Path) -> None:
        """Say which server, why, and what it last said."""
        self.name = name
        lines = tail(log)
        said = "\n  ".join(lines) if lines else "(it wrote nothing)"
        super().__init__(f"{name} did not start: {reason}. The last lines of {log}:\n  {said}")


def tail(log: Path, lines: int = _TAIL_LINES) -> list[str]:
    """Give the last lines of a log; nothing when there is none."""
    if not log.exists():
        return []
    with log.open(errors="replace") as text:
        return [line.rstrip() for line in deque(text, maxlen=lines)]


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Managed:
    """A child process with a log file; it dies when its parent does."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        grace_s: float = 10.0,
    ) -> None:
        """Describe the process; ``env`` is added to this process's environment, ``grace_s`` given at the stop."""
        self.name = name
        self.argv = list(argv)
        self.log = log
        self._env = {**os.environ, **(env or {})}
        self._cwd = cwd
        self._grace_s = grace_s
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Give the process id; 0 when it was never started."""
        return self._process.pid if self._process else 0

    @property
    def exit_code(self) -> int | None:
        """Give the exit status, None while it runs."""
        return self._process.poll() if self._process else None

    def start(self) -> None:
        """Start; raises ServerDidNotStart when the program cannot be run at all."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            try:
                self._process = subprocess.Popen(
                    self.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self._env,
                    cwd=self._cwd,
                    start_new_session=True,
                    preexec_fn=_die_with_parent,  # noqa: PLW1509 (one prctl call, before exec)
                )
            except OSError as error:
                raise ServerDidNotStart(self.name, error.strerror or "it cannot be run", self.log) from error

    def wait_ready(self, ready: Callable[[], bool], within_s: float) -> None:
        """Wait until ``ready`` says so; raises ServerDidNotStart when the process ends or the time is over."""
        deadline = time.monotonic() + within_s
        while not ready():
            if self.exit_code is not None:
                raise ServerDidNotStart(self.name, f"it ended with status {self.exit_code}", self.log)
            if time.monotonic() > deadline:
                raise ServerDidNotStart(self.name, f"it was not ready within {within_s:.0f} s", self.log)
            time.sleep(0.02)

    def terminate(self) -> None:
        """Ask it to end."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)

    def stop(self, grace_s: float | None = None) -> None:
        """Ask it to end, wait, and kill it when it does not."""
        if self._process is None:
            return
        self.terminate()
        try:
            self._process.wait(self._grace_s if grace_s is None else grace_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once, with its own children."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def started_at(pid: int) -> str | None:
    """Give what tells a process from a later one with the same id: its start time in clock ticks."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
