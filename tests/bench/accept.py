"""The public door alone: how many orders ingest takes for a second of its CPU, and how long each waits.

Router, scorer and delivery are held still (SIGSTOP) once prices are known, so that ingest does what an acceptance
asks of it and no more: checks, the request's object, the journal, the message, and its own reading of what it and
the ledger said.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.bench.lean.load import at_rate, place
from tests.bench.lean.world import ORDER, lean_profiles, lean_settings
from tests.bench.processes import cpu_s
from tests.bench.report import Report
from tests.support.servers.line import RunningLine, running_line

_LOAD: Final = 0.7
_HELD: Final = ("router", "scorer", "delivery")


@contextmanager
def held(pids: dict[str, int]) -> Iterator[None]:
    """Hold processes still; what they read waits on the bus."""
    for name in _HELD:
        os.kill(pids[name], signal.SIGSTOP)
    try:
        yield
    finally:
        for name in _HELD:
            os.kill(pids[name], signal.SIGCONT)


def resident_mib(pid: int) -> float:
    """Return the resident memory now."""
    match = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(match[1]) / 1024 if match else 0.0


async def measure(line: RunningLine, orders: int, report: Report) -> None:
    """Run the loads and note the figures."""
    pids = {process.name: process.pid for process in line.supervisor.processes}
    ingest = {"ingest": pids["ingest"]}
    report.add("ingest: memory at rest", resident_mib(pids["ingest"]), "MiB")
    async with line.client(credit_count=1_000_000) as client:
        await place(client, ORDER, 200, 32)
        with held(pids):
            waits_ms, took_s = list[float](), 1.0
            for at_once in (1, 32, 128):
                spent, started = cpu_s(ingest)["ingest"], time.perf_counter()
                waits_ms = await place(client, ORDER, orders if at_once > 1 else orders // 10, at_once)
                took_s, spent = time.perf_counter() - started, cpu_s(ingest)["ingest"] - spent
                title = f"{at_once} at once"
                report.add(f"{title}: orders a second", len(waits_ms) / took_s, "1/s")
                report.add(
                    f"{title}: orders for a second of ingest's CPU",
                    len(waits_ms) / spent,
                    "1/s",
                    at_least=4500 if at_once > 1 else None,
                )
                report.add(f"{title}: CPU of ingest", spent * 1000 / len(waits_ms), "ms per order")
                report.add_waits(title, waits_ms)
            rate = _LOAD * len(waits_ms) / took_s
            steady = f"steady {rate:.0f}/s, {_LOAD:.0%} of what 128 at once reached"
            report.add_waits(steady, await at_rate(client, ORDER, rate, round(rate * 10)), p99_at_most=25.0)
            report.add("ingest: memory under load", resident_mib(pids["ingest"]), "MiB")


def start_up_s(line: RunningLine) -> float:
    """Stop ingest and time its start to ready."""
    process = next(supervised for supervised in line.supervisor.processes if supervised.name == "ingest")
    process.stop(25.0)
    line.supervisor.forget(process)
    started = time.perf_counter()
    line.supervisor.start([[line.line.service("ingest")]])
    return time.perf_counter() - started


def main() -> None:
    """Start the line, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=500)
    given = parser.parse_args()
    report = Report("accept")
    with tempfile.TemporaryDirectory() as folder:
        settings = lean_settings(Path(folder))
        settings["ingest"] |= {"QUOTE_LIFETIME_S": "60", "FETCH_MAX_WAIT_MS": "50"}
        with running_line(profiles=lean_profiles(Path(folder)), settings=settings) as line:
            asyncio.run(measure(line, given.orders, report))
            report.add("ingest: start to ready", start_up_s(line), "s")
    report.close()


if __name__ == "__main__":
    main()
