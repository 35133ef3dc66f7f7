"""One order that needs many candidates: messages, inserts and CPU as N grows, against the least there could be."""

from __future__ import annotations

import asyncio
import tempfile
import time
from math import ceil
from pathlib import Path
from typing import Final

import yaml

from tests.bench.lean.world import ORDER, lean_profiles, lean_settings
from tests.bench.processes import counters, cpu_s
from tests.bench.report import Report
from tests.support.servers.line import RunningLine, running_line
from winnow.local.line import SERVICES

SIZES: Final = ((6, 24), (60, 240), (60, 2400))
"""K and N of each order; the order of 2400 has the K of 240, because that is the most that can be asked for."""
IMAGES_A_CALL: Final = 4
_WAIT_MS: Final = "50"


def least_messages(candidates: int) -> int:
    """Return 3 for acceptance, end and bill, and 3 for each call: dispatched, generated, scored."""
    return 3 + 3 * ceil(candidates / IMAGES_A_CALL)


def fanout_settings(folder: Path, candidates: int) -> dict[str, dict[str, str]]:
    """Make the plan come out at exactly ``candidates``: the pass rate looks hopeless, and the template caps the round."""
    settings = lean_settings(folder)
    catalogue = folder / "catalogue"
    offerings = yaml.safe_load((catalogue / "offerings.yaml").read_text())
    for offering in offerings["offerings"]:
        offering["pass_prior_ppm"] = {"product_shot": 20_000, "studio_headshot": 20_000}
        offering["max_n"] = IMAGES_A_CALL
    (catalogue / "offerings.yaml").write_text(yaml.safe_dump(offerings))
    for path in Path(settings["router"]["TEMPLATES_FOLDER"]).glob("*.yaml"):
        template = yaml.safe_load(path.read_text())
        template["rounds"] |= {"candidates_max": candidates, "duplicate_distance": 0}
        template["rounds"]["pass_rate_prior_ppm"] = 20_000
        path.write_text(yaml.safe_dump(template))
    for service in SERVICES:
        settings.setdefault(service, {})["FETCH_MAX_WAIT_MS"] = _WAIT_MS
    return settings


async def measure(line: RunningLine, k: int, candidates: int, report: Report) -> float:
    """Run one order; return the CPU of services and broker in ms."""
    services = {
        process.name: process.pid for process in line.supervisor.processes if process.name in SERVICES
    }
    processes = services | {process.name: process.pid for process in line.stack.processes}
    async with line.client(credit_count=100_000) as client:
        before, cpu_before = await counters(line), cpu_s(processes)
        started = time.perf_counter()
        task = await client.end(await client.order(**ORDER | {"k": k}), within_s=600)
        took_s = time.perf_counter() - started
        after, cpu_after = await counters(line), cpu_s(processes)
    assert task["state"] == "delivered", task
    assert sum(task["funnel"].values()) == candidates, task["funnel"]
    spent = {name: (cpu_after[name] - cpu_before[name]) * 1000 for name in processes}
    title = f"K={k}, N={candidates}"
    messages = after["winnow_bus_sent"] - before["winnow_bus_sent"]
    least = least_messages(candidates)
    report.add(f"{title}: messages", messages, "", at_most=1.2 * least)
    report.add(f"{title}: messages, against the least of {least}", messages / least, "times", at_most=1.2)
    for name in (
        "journal_blocks",
        "journal_decisions",
        "database_calls",
        "database_documents",
        "object_calls",
    ):
        report.add(f"{title}: {name}", after[f"winnow_{name}"] - before[f"winnow_{name}"], "")
    report.add(f"{title}: order to bill", took_s, "s")
    for name in processes:
        report.add(f"{title}: CPU of {name}", spent[name] / candidates, "ms per candidate")
    return sum(spent[name] for name in (*services, "Tansu"))


def main() -> None:
    """Run an order of each size on a line of its own, so that nothing is learnt from the one before."""
    report = Report("fanout")
    spent: list[float] = []
    for k, candidates in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            settings = fanout_settings(Path(folder), candidates)
            with running_line(profiles=lean_profiles(Path(folder)), settings=settings) as line:
                spent.append(asyncio.run(measure(line, k, candidates, report)))
    marginal = [
        (spent[n + 1] - spent[n]) / (SIZES[n + 1][1] - SIZES[n][1]) * 1000 for n in range(len(SIZES) - 1)
    ]
    for (_, less), (_, more), us in zip(SIZES, SIZES[1:], marginal, strict=False):
        report.add(f"CPU of one more candidate, N={less} to {more}, with its picture", us, "us")
    report.add("growth of that cost", marginal[-1] / marginal[0], "times", at_most=1.5)
    report.close()


if __name__ == "__main__":
    main()
