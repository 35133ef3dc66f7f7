"""The file in which a running line says how each of its processes is."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from winnow.local.process import started_at

RECORD_FILE: Final = "processes.json"


@dataclass(frozen=True, slots=True)
class Exit:
    """End of a process: a status, or a signal by its name (else empty), and when (ISO 8601, UTC)."""

    status: int
    signal: str
    at: str


@dataclass(frozen=True, slots=True)
class ProcessState:
    """A process of the line.

    ``kind`` is ``server``, ``service`` or ``simulator``. ``state`` is ``starting``, ``ready``, ``restarting`` (it ended
    and waits for its next start), ``given up`` or ``stopped``, since ``since`` (ISO 8601, UTC). ``pid`` is 0 while it
    does not run. ``restarts`` counts the starts after the first. ``address`` is a URL, or host:port.
    """

    name: str
    kind: str
    state: str
    pid: int
    restarts: int
    since: str
    address: str
    log: str
    last_exit: Exit | None = None


@dataclass(frozen=True, slots=True)
class LineRecord:
    """Content of ``processes.json`` in the data directory, one JSON object.

    ``pid`` and ``pid_started_at`` tell the process that supervises (`winnow up` or `winnow demo`); ``written_at`` is
    ISO 8601, UTC. ``steps`` maps what is started, in the order of starting, to its last step of the start:
    ``waiting``, or a state as in ProcessState. ``processes`` lists every process. The file is replaced whole
    and readable by its owner only; it stays after the end, then ``is_live`` is False.
    """

    pid: int = 0
    pid_started_at: str = ""
    written_at: str = ""
    steps: Mapping[str, str] = field(default_factory=dict)
    processes: tuple[ProcessState, ...] = ()

    @property
    def is_live(self) -> bool:
        """Return whether the process that wrote it still runs."""
        return bool(self.pid) and started_at(self.pid) == self.pid_started_at

    @classmethod
    def read(cls, root: Path) -> Self:
        """Read the record of a data directory; an empty one when there is none. Raises ValueError when it is damaged."""
        try:
            document = json.loads((root / RECORD_FILE).read_text())
        except FileNotFoundError:
            return cls()
        known = {name: document[name] for name in cls.__slots__ if name in document}
        known["processes"] = tuple(_process(row) for row in document.get("processes", ()))
        return cls(**known)

    def write(self, root: Path) -> None:
        """Replace the record of a data directory."""
        path = root / RECORD_FILE
        scratch = path.with_suffix(".new")
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as text:
            json.dump(asdict(self), text, indent=1)
        scratch.replace(path)


class Recorder:
    """Keeps the record of the line that this process runs."""

    def __init__(self, root: Path) -> None:
        """Write into a data directory, from ``begin`` on: before, it may be that of another line."""
        self._root = root
        self._steps: dict[str, str] = {}
        self._processes: tuple[ProcessState, ...] = ()
        self._is_begun = False

    def begin(self) -> None:
        """Write from now on; the directory is held."""
        self._is_begun = True
        self._write()

    def tell(self, name: str, step: str) -> None:
        """Note the step of something that is started."""
        if self._steps.get(name) != step:
            self._steps[name] = step
            self._write()

    def show(self, processes: Iterable[ProcessState]) -> None:
        """Note how all processes are."""
        seen = tuple(processes)
        if seen != self._processes:
            self._processes = seen
            self._write()

    def end(self) -> None:
        """Note that everything was stopped, and write no more."""
        self._processes = tuple(replace(each, state="stopped", pid=0) for each in self._processes)
        self._steps = dict.fromkeys(self._steps, "stopped")
        self._write()
        self._is_begun = False

    def _write(self) -> None:
        if not self._is_begun:
            return
        # A full disk must not end what the record only describes.
        with contextlib.suppress(OSError):
            pid = os.getpid()
            at = datetime.now(UTC).isoformat(timespec="milliseconds")
            LineRecord(pid, started_at(pid) or "", at, dict(self._steps), self._processes).write(self._root)


def _process(row: dict[str, Any]) -> ProcessState:
    known = {name: row[name] for name in ProcessState.__slots__ if name in row}
    last = row.get("last_exit")
    return ProcessState(**known | {"last_exit": Exit(**last) if last else None})
