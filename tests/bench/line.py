"""The whole line: K=1 orders over instant providers, real servers, real scoring of every picture.

An order here plans several candidates, as its template's pass rate asks; each is decoded, scored and stored for real.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from tests.bench.lean import lean
from tests.bench.processes import counters, cpu_s, peak_mib
from tests.bench.report import Report
from tests.support import buses
from tests.support.line import Client, RunningLine, running_line
from winnow.local.line import SERVICES

PROFILES = {provider: f"instant-{provider}" for provider in ("fal", "replicate", "openai")}
CATALOGUE = Path("services/router/catalogue")


def widened_catalogue(folder: Path) -> None:
    """Write the simulators' catalogue with concurrency that does not bound the line."""
    document = yaml.safe_load((CATALOGUE / "simulated.yaml").read_text())
    for offering in document["offerings"]:
        offering["concurrency_limit"] = 64
        offering["limits"]["poll_interval_s"] = 0.05
    (folder / "offerings.yaml").write_text(yaml.safe_dump(document))


async def one_order(client: Client, waits_ms: list[float]) -> str:
    """Submit one order and note how long its acceptance took."""
    started = time.perf_counter()
    answer = await client.submit(k=1)
    waits_ms.append((time.perf_counter() - started) * 1000)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def all_complete(client: Client, ids: set[str]) -> Counter[str]:
    """Wait for the ends by reading pages of the task list; return the states."""
    while True:
        states: Counter[str] = Counter()
        cursor: dict[str, Any] = {}
        open_count = 0
        while True:
            page = await client.get("/v1/tasks", limit=100, **cursor)
            for task in page["tasks"]:
                if task["id"] in ids:
                    states[task["state"]] += 1
                    open_count += not task["complete"]
            if not page["next_cursor"]:
                break
            cursor = {"cursor": page["next_cursor"]}
        if open_count == 0 and states.total() == len(ids):
            return states
        await asyncio.sleep(0.25)


def assert_delivered(states: Counter[str], orders: int) -> None:
    """Raise AssertionError unless every order was delivered: a figure of failed orders is no figure of the line."""
    assert states == Counter(delivered=orders), f"of {orders} orders, by state: {dict(states)}"


async def measure(line: RunningLine, orders: int, at_once: int, report: Report) -> None:
    """Run the load and note the figures."""
    processes = {
        process.name: process.pid for process in line.supervisor.processes if process.name in SERVICES
    }
    async with line.client(credit_count=100_000) as client:
        idle_ms: list[float] = []
        ends_ms: list[float] = []
        for _ in range(30):
            started = time.perf_counter()
            task_id = await one_order(client, idle_ms)
            while not (task := await client.task(task_id))["complete"]:
                await asyncio.sleep(0.01)
            assert task["state"] == "delivered", task["end"]
            ends_ms.append((time.perf_counter() - started) * 1000)
        before, cpu_before = await counters(line), cpu_s(processes)
        waits_ms: list[float] = []
        gate = asyncio.Semaphore(at_once)

        async def submit() -> str:
            async with gate:
                return await one_order(client, waits_ms)

        started = time.perf_counter()
        ids = set(await asyncio.gather(*(submit() for _ in range(orders))))
        accepted_s = time.perf_counter() - started
        states = await all_complete(client, ids)
        took_s = time.perf_counter() - started
        after, cpu_after = await counters(line), cpu_s(processes)
    assert_delivered(states, orders)
    spent = {name: (cpu_after[name] - cpu_before[name]) * 1000 / orders for name in processes}
    report.add(f"end-to-end, {orders} orders of K=1, all delivered", orders / took_s, "tasks/s")
    report.add(f"acceptance while {at_once} at once", orders / accepted_s, "tasks/s")
    report.add("messages", (after["winnow_bus_sent"] - before["winnow_bus_sent"]) / orders, "per task")
    for label, name in (
        ("database calls", "winnow_database_calls"),
        ("documents written", "winnow_database_documents"),
        ("object store calls", "winnow_object_calls"),
    ):
        report.add(label, (after[name] - before[name]) / orders, "per task")
    for name, sample in (
        (f"acceptance, {at_once} at once", waits_ms),
        ("acceptance, idle", idle_ms),
        ("order to bill, idle", ends_ms),
    ):
        report.add_waits(name, sample)
    report.add("CPU of the five services", sum(spent.values()), "ms per task")
    for name, pid in processes.items():
        report.add(f"CPU of {name}", spent[name], "ms per task")
        report.add(f"peak memory of {name}, with its children", peak_mib(pid), "MiB")


def main() -> None:
    """Start the line, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=300)
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--lean", action="store_true", help="one tiny picture an order, only decoded")
    parser.add_argument("--bus", choices=(buses.TANSU, buses.KAFKA), default=buses.TANSU, help="with --lean")
    given = parser.parse_args()
    if given.lean:
        lean(given.orders, given.at_once, given.bus)
        return
    report = Report("line")
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
