"""The line beside Celery, Dramatiq and Temporal: milliseconds of CPU a task, each in turn in one run.

The queues hand a payload through five stages and keep nothing; Temporal keeps a durable history. The line does five
services' work: accept, reserve, generate, score, deliver, settle, with journals and a broker. The embedded database's
CPU is beside it, since it stands in for a database that is used in production.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.progress import track

from tests.bench.lean.measure import FASTEST
from tests.bench.lean.tables import CPU_AIM_MS, LONE, SERVICES_AND_BROKER
from tests.bench.report import FOLDER, Report

ENVIRONMENT = Path("build/task-queues-venv/bin/python")
PEERS = {"celery": ("Celery, a chain of five, Redis", 8.0), "dramatiq": ("Dramatiq, five actors, Redis", 2.0)}
TEMPORAL = {"temporal": ("Temporal's development server, five activities", 30.0)}
NEEDS_REDIS = frozenset(PEERS)


def run_peer(name: str, tasks: int) -> dict[str, float]:
    """Run a peer in its own environment; return its record."""
    argv = [str(ENVIRONMENT), "tests/bench/task_queues/run.py", name, "--tasks", str(tasks)]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=600)
    record: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return record


def run_line(orders: int) -> dict[str, float]:
    """Run the lean line; return its figures by name."""
    argv = [
        sys.executable,
        "-m",
        "tests.bench.lean",
        f"--orders={orders}",
        "--rates=",
        "--lone=40",
        "--counted=0",
    ]
    subprocess.run(argv, check=True, capture_output=True, timeout=600)
    figures: list[dict[str, Any]] = json.loads((FOLDER / "lean.json").read_text())
    return {figure["figure"]: figure["value"] for figure in figures}


def main() -> None:
    """Take turns, report medians with their spread and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    peers = PEERS | TEMPORAL
    if shutil.which("redis-server") is None:
        print("not measured, for want of a redis-server on the path: Celery and Dramatiq")
        peers = TEMPORAL
    ours: list[dict[str, float]] = []
    theirs: dict[str, list[dict[str, float]]] = {name: [] for name in peers}
    for _ in track(range(given.rounds), description="rounds"):
        ours.append(run_line(given.tasks))
        for name in peers:
            theirs[name].append(run_peer(name, given.tasks))
    report = Report("beside")
    line_ms = [row[f"{FASTEST}: {SERVICES_AND_BROKER}"] for row in ours]
    report.add_sample("Winnow, five services and broker", line_ms, "ms CPU a task", at_most=CPU_AIM_MS)
    database_ms = [row[f"{FASTEST}: CPU of SecantusDB"] for row in ours]
    report.add_sample("Winnow, embedded database", database_ms, "ms CPU a task")
    delivered_ms = [row[f"{LONE}: accepted to delivered, p50"] for row in ours]
    report.add_sample("Winnow, idle p50 to delivered", delivered_ms, "ms")
    for name, (label, aim) in peers.items():
        spent_ms = [row["cpu_s"] / row["tasks"] * 1000 for row in theirs[name]]
        report.add_sample(label, spent_ms, "ms CPU a task")
        report.add_sample(f"{label}, idle p50", [row["idle_p50_ms"] for row in theirs[name]], "ms")
        ratios = [peer / own for peer, own in zip(spent_ms, line_ms, strict=True)]
        report.add_sample(f"{label}, to Winnow", ratios, "times our CPU", at_least=aim)
    report.close()


if __name__ == "__main__":
    main()
