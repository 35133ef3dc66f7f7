"""One server process: started, waited for, stopped by its process id, and never left behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_TAIL_LINES: Final = 15
_TAIL_BYTES: Final = 64 * 1024
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LOOPBACK: Final = ("127.0.0.1", "localhost")


class ServerDidNotStart(Exception):  # noqa: N818 (the noun of the problem)
    """A server ended or did not answer in time; the text names it and shows its last lines."""

    happened: str = "did not start"

    def __init__(self, name: str, reason: str, log: Path) -> None:
        """Name the server, the reason, and the last lines of its log."""
        self.name = name
        lines = tail(log)
        said = "\n  ".join(lines) if lines else "(it wrote nothing)"
        super().__init__(f"{name} {self.happened}: {reason}. The last lines of {log}:\n  {said}")


class ServerEnded(ServerDidNotStart):
    """A server that had started ended on its own; a kind of ServerDidNotStart so that one handler says both."""

    happened = "ended on its own"


def tail(log: Path, lines: int = _TAIL_LINES) -> list[str]:
    """Return the last lines of a log, of its last 64 KiB; nothing when there is none."""
    if not log.exists():
        return []
    with log.open("rb") as text:
        text.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        return [line.rstrip() for line in text.read().decode(errors="replace").splitlines()[-lines:]]


class _Launcher:
    """Starts processes from one thread that lives as long as this process.

    The kernel sends its death signal when the *thread* that started a child ends. A child started from a
    worker thread would be killed with that thread.
    """

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[
            tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]
        ]
        self._asked = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def launch(self, start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        """Run ``start`` there and return what it returns or raises."""
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._serve, name="launcher", daemon=True)
                self._thread.start()
        answer: Future[subprocess.Popen[bytes]] = Future()
        self._asked.put((start, answer))
        return answer.result()

    def _serve(self) -> None:
        while True:
            start, answer = self._asked.get()
            try:
                answer.set_result(start())
            except BaseException as error:  # noqa: BLE001 (raised again in the thread that asked)
                answer.set_exception(error)


_LAUNCHER: Final = _Launcher()


class Managed:
    """A child process with a log file; it dies when its parent does, however that ends."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        without: Sequence[str] = (),
        cwd: Path | None = None,
        grace_s: float = 10.0,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        """Describe the process.

        ``env`` is added to this process's environment less the variables that begin with one of ``without``;
        loopback is kept out of any proxy. ``grace_s`` is given at the stop. ``prepare`` runs before each start.
        """
        self.name = name
        self.argv = list(argv)
        self.log = log
        self._env = _environment(env or {}, without)
        self._cwd = cwd
        self._grace_s = grace_s
        self._prepare = prepare
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the process id; 0 when it was never started."""
        return self._process.pid if self._process else 0

    @property
    def exit_code(self) -> int | None:
        """Return the exit status, None while it runs."""
        if self._process is None:
            return None
        if self._process.returncode is None and self._process.poll() is not None:
            self._signal_group(signal.SIGKILL)
        return self._process.returncode

    def start(self) -> None:
        """Start, from any thread; raises ServerDidNotStart when the program cannot be run at all.

        The log holds this run alone; the log of the previous run is kept as ``.1`` in the same folder.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_name(f"{self.log.name}.1"))
        self._prepare()
        try:
            self._process = _LAUNCHER.launch(self._open)
        except OSError as error:
            raise ServerDidNotStart(self.name, error.strerror or "it cannot be run", self.log) from error

    def _open(self) -> subprocess.Popen[bytes]:
        parent = os.getpid()

        def die_with_parent() -> None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)  # it died before the signal was asked for

        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 (two system calls, before exec)
            )

    def check_running(self) -> None:
        """Raise ServerEnded when it has ended on its own."""
        if self.exit_code is not None:
            raise ServerEnded(self.name, f"its status was {self.exit_code}", self.log)

    def ready(self, answers: Callable[[], bool]) -> bool:
        """Return whether it answers; raises ServerDidNotStart when it has ended, also if another answers."""
        ready = answers()
        if self.exit_code is not None:
            raise ServerDidNotStart(self.name, f"it ended with status {self.exit_code}", self.log)
        return ready

    def wait_ready(self, answers: Callable[[], bool], within_s: float) -> None:
        """Wait until ``answers`` says so; raises ServerDidNotStart when the process ends or the time is over."""
        deadline_s = time.monotonic() + within_s
        while not self.ready(answers):
            if time.monotonic() > deadline_s:
                raise self.late(within_s)
            time.sleep(0.02)

    def late(self, within_s: float) -> ServerDidNotStart:
        """Return the error of a process that runs but was not ready in time."""
        return ServerDidNotStart(self.name, f"it was not ready within {within_s:g} s", self.log)

    def terminate(self) -> None:
        """Ask it to end; its own children are its business until it has."""
        if self._process is not None and self.exit_code is None:
            self._process.terminate()

    def stop(self, grace_s: float | None = None) -> None:
        """Ask it to end, wait, and kill it when it does not; what it leaves of its group is killed."""
        if self._process is None:
            return
        self.terminate()
        deadline_s = time.monotonic() + (self._grace_s if grace_s is None else grace_s)
        while self.exit_code is None:
            if time.monotonic() > deadline_s:
                self.kill()
                return
            time.sleep(0.01)

    def kill(self) -> None:
        """End it at once, with its own children."""
        if self._process is not None:
            self._signal_group(signal.SIGKILL)
            self._process.wait()

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def _environment(added: Mapping[str, str], without: Sequence[str]) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(tuple(without))}
    for name in ("NO_PROXY", "no_proxy"):
        env[name] = ",".join([*filter(None, [env.get(name, "")]), *_LOOPBACK])
    return env | dict(added)


def started_at(pid: int) -> str | None:
    """Return what tells a living process from a later one with the same id; None when it has ended.

    It is the id of this boot with the start time in clock ticks since.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (OSError, ValueError):
        return None
    return None if state in {"Z", "X"} else f"{boot}/{fields[18]}"
