"""Spending and counters of running processes: CPU, memory, and the services' own counters."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from tests.support.servers import buses
from tests.support.servers.line import RunningLine
from winnow.local.line import SERVICES
from winnow.local.ports import listens

_SAMPLE = re.compile(r"^(winnow_\w+?)(?:_total)?(?:\{[^}]*\})? ([0-9.e+]+)$")
BROKERS: Final = {buses.TANSU: "Tansu", buses.KAFKA: "Apache Kafka"}
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


@dataclass(frozen=True, slots=True)
class CpuParts:
    """CPU seconds of a process: its event loop, its other threads, its child processes."""

    loop_s: float
    threads_s: float
    children_s: float

    def __sub__(self, before: CpuParts) -> CpuParts:
        """Return what was spent since ``before``."""
        return CpuParts(
            self.loop_s - before.loop_s,
            self.threads_s - before.threads_s,
            self.children_s - before.children_s,
        )


def cpu_parts(pid: int) -> CpuParts:
    """Return the CPU seconds of a process by part; the event loop runs in the first thread.

    A thread that has ended counts as no part, so the parts hold for threads of pools, which stay.
    """
    loop_s = _thread_s(Path(f"/proc/{pid}/task/{pid}/stat"))
    threads_s = sum(
        _thread_s(path)
        for path in Path(f"/proc/{pid}/task").glob("[0-9]*/stat")
        if path.parent.name != str(pid)
    )
    return CpuParts(loop_s, threads_s, cpu_s({"": pid})[""] - _thread_s(Path(f"/proc/{pid}/stat")))


def _thread_s(stat: Path) -> float:
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pids_of(line: RunningLine) -> dict[str, int]:
    """Return the processes that an order passes: the services, the broker, the database, the object store."""
    services = {
        process.name: process.pid for process in line.supervisor.processes if process.name in SERVICES
    }
    servers = {process.name: process.pid for process in line.stack.processes}
    if BROKERS[buses.TANSU] not in servers:
        port = int(line.stack.addresses.kafka_bootstrap.rpartition(":")[2])
        servers[BROKERS[buses.KAFKA]] = listener(port)
    return services | servers


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
