"""Spending and counters of running processes: CPU, memory, and the services' own counters."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import httpx

from tests.support.line import RunningLine
from winnow.local.line import SERVICES
from winnow.local.ports import listens

_SAMPLE = re.compile(r"^(winnow_\w+?)(?:_total)?(?:\{[^}]*\})? ([0-9.e+]+)$")
COUNTED = (
    "winnow_bus_sent",
    "winnow_database_calls",
    "winnow_database_documents",
    "winnow_object_calls",
    "winnow_journal_blocks",
    "winnow_journal_decisions",
)


async def counters(line: RunningLine) -> Counter[str]:
    """Sum the services' counters."""
    found: Counter[str] = Counter()
    async with httpx.AsyncClient() as http:
        for service in SERVICES:
            for text in (await http.get(f"{line.line.ops_url(service)}/metrics")).text.splitlines():
                match = _SAMPLE.match(text)
                if match and match[1] in COUNTED:
                    found[match[1]] += float(match[2])  # type: ignore[assignment]
    return found


def cpu_s(pids: dict[str, int]) -> dict[str, float]:
    """Return the CPU seconds of each process and its children."""
    ticks = os.sysconf("SC_CLK_TCK")
    spent = dict.fromkeys(pids, 0.0)
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(path.parent.name)] = (int(fields[1]), (int(fields[11]) + int(fields[12])) / ticks)
    for name, pid in pids.items():
        family = {pid} | {child for child, (parent, _) in parents.items() if parent == pid}
        spent[name] = sum(parents[number][1] for number in family if number in parents)
    return spent


def listener(port: int) -> int:
    """Return the process that listens on a port of this machine."""
    pids = (int(path.name) for path in Path("/proc").glob("[0-9]*"))
    return next(pid for pid in pids if listens(pid, port))


def peak_mib(pid: int) -> float:
    """Return the peak resident memory of a process with its children, in MiB."""
    family = [pid]
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                family.append(int(path.parent.name))
        except OSError:
            continue
    total = 0
    for number in family:
        match = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{number}/status").read_text())
        total += int(match[1]) if match else 0
    return total / 1024
