"""The whole line: K=1 orders over instant providers, real servers, real scoring of every picture.

An order here plans several candidates, as its template's pass rate asks; each is decoded, scored and stored for real.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import yaml

from tests.bench.counts import KINDS, when_quiet
from tests.bench.lean.load import all_delivered, one_by_one, place, settled
from tests.bench.pictures import picture_costs
from tests.bench.processes import cpu_parts, cpu_s, peak_mib, pids_of
from tests.bench.report import Report
from tests.support.servers.line import RunningLine, running_line
from winnow.local.line import SERVICES

PROFILES = {provider: f"instant-{provider}" for provider in ("fal", "replicate", "openai")}
CATALOGUE = Path("services/router/catalogue")
ORDER: Final = {"template": "studio_headshot", "mode": "low_cost", "k": 1, "prompt": "studio headshot"}
_LONE: Final = 30


def widened_catalogue(folder: Path) -> None:
    """Write the simulators' catalogue with concurrency that does not bound the line."""
    document = yaml.safe_load((CATALOGUE / "simulated.yaml").read_text())
    for offering in document["offerings"]:
        offering["concurrency_limit"] = 64
        offering["limits"]["poll_interval_s"] = 0.05
    (folder / "offerings.yaml").write_text(yaml.safe_dump(document))


async def measure(line: RunningLine, orders: int, at_once: int, report: Report) -> None:
    """Run the load and note the figures; the ends are read from the account's balance."""
    processes = pids_of(line)
    services = {name: pid for name, pid in processes.items() if name in SERVICES}
    async with line.client(credit_count=100_000) as client:
        print(f"{_LONE} lone orders", file=sys.stderr)
        _, billed_ms = await one_by_one(client, ORDER, _LONE)
        before = await when_quiet(line)
        print(f"{orders} orders, {at_once} at once", file=sys.stderr)
        cpu_before, parts_before = cpu_s(processes), cpu_parts(services["scorer"])
        started = time.perf_counter()
        waits_ms = await place(client, ORDER, orders, at_once)
        accepted_s = time.perf_counter() - started
        await settled(client, _LONE + orders)
        took_s = time.perf_counter() - started
        cpu_after, parts = cpu_s(processes), cpu_parts(services["scorer"]) - parts_before
        counts = await when_quiet(line) - before
        await all_delivered(client, _LONE + orders)
    spent = {name: (cpu_after[name] - cpu_before[name]) * 1000 / orders for name in processes}
    report.add(f"end-to-end, {orders} orders of K=1, all delivered", orders / took_s, "tasks/s")
    report.add(f"acceptance while {at_once} at once", orders / accepted_s, "tasks/s")
    for kind in KINDS:
        report.add(kind, counts[kind].total() / orders, "per task")
    report.add("pictures stored by the router", counts["object calls"]["router put"] / orders, "per task")
    report.add_waits(f"acceptance, {at_once} at once", waits_ms)
    report.add_waits("order to bill, idle", billed_ms)
    ours = sum(spent[name] for name in services)
    scoring = parts.children_s * 1000 / orders
    report.add("CPU of the five services", ours, "ms per task")
    report.add("scorer: CPU of its processes, which decode and judge", scoring, "ms per task")
    report.add("CPU of the five services without these processes", ours - scoring, "ms per task")
    for name, pid in processes.items():
        report.add(f"CPU of {name}", spent[name], "ms per task")
        report.add(f"peak memory of {name}, with its children", peak_mib(pid), "MiB")


def main() -> None:
    """Start the line, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=300, help="%(default)s")
    parser.add_argument("--at-once", type=int, default=64, help="connections (%(default)s)")
    given = parser.parse_args()
    report = Report("line")
    picture_costs(report)
    with tempfile.TemporaryDirectory() as folder:
        widened_catalogue(Path(folder))
        settings = {
            "ingest": {"RATE_PER_SECOND": "10000", "RATE_BURST_COUNT": "100000"},
            "router": {"CATALOGUE_FOLDER": folder, "ATTEMPTS_MAX": "256"},
        }
        with running_line(profiles=PROFILES, settings=settings) as line:
            asyncio.run(measure(line, given.orders, given.at_once, report))
    report.close()


if __name__ == "__main__":
    main()
