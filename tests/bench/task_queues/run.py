"""Runs one peer in its own environment: warms it up, runs tasks, prints a JSON line of tasks, seconds and CPU seconds."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from measured import cpu_s

PEERS = ("celery", "dramatiq", "temporal")


def main() -> None:
    """Measure the peer that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("--tasks", type=int, default=300)
    parser.add_argument("--idle", type=int, default=20, help="tasks sent one at a time, for the latency")
    given = parser.parse_args()
    with importlib.import_module(f"{given.peer}_chain").running() as finish:
        finish(20)
        waits_ms = []
        for _ in range(given.idle):
            started_s = time.perf_counter()
            finish(1)
            waits_ms.append((time.perf_counter() - started_s) * 1000)
        cpu_before_s, started_s = cpu_s(), time.perf_counter()
        finish(given.tasks)
        took_s, spent_s = time.perf_counter() - started_s, cpu_s() - cpu_before_s
    waits_ms.sort()
    record = {
        "tasks": given.tasks,
        "wall_s": took_s,
        "cpu_s": spent_s,
        "idle_p50_ms": waits_ms[len(waits_ms) // 2],
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
