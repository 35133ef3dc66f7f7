"""Common part of the peers: the task, the CPU of a family of processes, and a run's record.

Needs nothing of Winnow.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

STAGES = 5
PAYLOAD: dict[str, str | int] = {"task": 0, "stage": 0, "text": "x" * 550}
"""About 600 bytes as JSON, the size of a task's event."""

FOLDER = Path(__file__).parent
Probe = Callable[[], bool]


def free_port() -> int:
    """Return a free port of the loopback."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def listens(port: int) -> bool:
    """Return whether something accepts on a port of the loopback."""
    with socket.socket() as listener:
        listener.settimeout(0.2)
        return listener.connect_ex(("127.0.0.1", port)) == 0


def wait_for(probe: Probe, within_s: float = 60.0) -> None:
    """Wait until a probe holds; raises TimeoutError."""
    until_s = time.monotonic() + within_s
    while not probe():
        if time.monotonic() > until_s:
            raise TimeoutError
        time.sleep(0.02)


@contextmanager
def process(*argv: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process of the peer, its output in a file that is shown when it fails; ended with the block."""
    with tempfile.TemporaryFile() as output:
        started = subprocess.Popen(
            argv,
            env=os.environ | environment,
            cwd=FOLDER,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield started
        except BaseException:
            output.seek(0)
            sys.stderr.write(output.read()[-2000:].decode(errors="replace"))
            raise
        finally:
            os.killpg(started.pid, signal.SIGTERM)
            try:
                started.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(started.pid, signal.SIGKILL)
                started.wait()


@contextmanager
def redis() -> Iterator[str]:
    """Run a Redis of one's own without persistence; yield its address."""
    port = free_port()
    options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
    with process("redis-server", *options):
        wait_for(lambda: listens(port))
        yield f"redis://127.0.0.1:{port}/0"


def cpu_s() -> float:
    """Return the CPU seconds of this process and all that came from it, ended ones included."""
    own = os.times()
    return own.user + own.system + own.children_user + own.children_system + _descendants_s(os.getpid())


def _descendants_s(root: int) -> float:
    ticks = os.sysconf("SC_CLK_TCK")
    parents: dict[int, int] = {}
    spent: dict[int, float] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(path.parent.name)
        parents[pid] = int(fields[1])
        spent[pid] = sum(map(int, fields[11:15])) / ticks
    family, more = {root}, True
    while more:
        found = {pid for pid, parent in parents.items() if parent in family} - family
        family |= found
        more = bool(found)
    return sum(spent[pid] for pid in family - {root} if pid in spent)


def one_step(payload: dict[str, str | int]) -> dict[str, str | int]:
    """Do a stage's work: none, but the payload moves on."""
    return payload | {"stage": int(payload["stage"]) + 1}
