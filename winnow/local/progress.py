"""Progress of a process, which tells a slow one from a hanging one.

Its log, its CPU time or its answer moves, or nothing does.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CPU_STEP_S: Final = 0.5
"""CPU time that counts as progress: a waiting event loop uses less in a minute, an import more in seconds."""
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Activity:
    """A look at a starting process: the size of its log, the CPU time of it and its children, what it answers."""

    log_bytes: int = 0
    cpu_s: float = 0.0
    answer: str = ""


class Patience:
    """Waits for as long as something moves."""

    def __init__(self, limit_s: float, now_s: float) -> None:
        """Begin at ``now_s`` of a monotonic clock; ``limit_s`` is how long nothing may move."""
        self.limit_s = limit_s
        self._mark = Activity()
        self._moved_at_s = now_s

    def is_over(self, seen: Activity, now_s: float) -> bool:
        """Note a look; tell whether nothing has moved for the limit."""
        if _moved(self._mark, seen):
            self._mark, self._moved_at_s = seen, now_s
        elif seen.cpu_s < self._mark.cpu_s:
            # A child ended that nobody waited for, and took its time along.
            self._mark = seen
        return now_s - self._moved_at_s > self.limit_s

    def still_s(self, now_s: float) -> float:
        """Return for how long nothing has moved."""
        return now_s - self._moved_at_s


def _moved(before: Activity, after: Activity) -> bool:
    return (
        after.log_bytes != before.log_bytes
        or after.answer != before.answer
        or after.cpu_s - before.cpu_s >= CPU_STEP_S
    )


def log_bytes(log: Path) -> int:
    """Return the size of a log file; 0 when there is none."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process, its descendants and its ended children have used; 0.0 when it is gone."""
    parents: dict[int, list[int]] = defaultdict(list)
    ticks: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            fields = _stat(folder)
            if fields:
                parents[int(fields[1])].append(int(folder.name))
                ticks[int(folder.name)] = sum(map(int, fields[11:15]))
    total, pending = 0, [pid]
    while pending:
        each = pending.pop()
        total += ticks.get(each, 0)
        pending += parents[each]
    return total / _TICKS_PER_S


def _stat(folder: Path) -> list[str]:
    """Return the fields that follow the name of a process: its state, its parent, and so on."""
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
