"""The parts of the soak, each a command that can be called alone."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from tests.soak.result import Result

SEEDS = 10_000
_SEED_MAX = 2**31
Command = list[str]


def _module(name: str, *arguments: str) -> Command:
    return [sys.executable, "-m", name, *arguments]


def _pytest(*arguments: str, timeout_s: int, environment: Mapping[str, str]) -> Command:
    """Return the command of tests under settings of its own, through ``env`` so that it can be called alone."""
    settings = [f"{name}={value}" for name, value in environment.items()]
    return [
        "env",
        *settings,
        *_module("pytest", *arguments, "-p", "no:cacheprovider", "-o", f"timeout={timeout_s}"),
    ]


def drawn_seeds(count: int) -> str:
    """Return a range of ``count`` seeds that no fixed range holds, drawn anew each time."""
    first = SEEDS + secrets.randbelow(_SEED_MAX - SEEDS - count)
    return f"{first}..{first + count}"


PARTS: dict[str, Callable[[int, int], Command]] = {
    "mutations": lambda _seconds, _drawn: _module("tests.mutation", "--jobs", str(os.cpu_count() or 1)),
    "simulated-bugs": lambda _seconds, _drawn: _module("tests.simulation.mutations"),
    "simulation": lambda _seconds, _drawn: _module("tests.simulation", "--seeds", str(SEEDS)),
    "drawn-seeds": lambda _seconds, drawn: _module("tests.simulation", "--seeds", drawn_seeds(drawn)),
    "chaos-tansu": lambda _seconds, _drawn: _module("tests.chaos", "--bus", "tansu"),
    "chaos-kafka": lambda _seconds, _drawn: _module("tests.chaos", "--bus", "kafka"),
    "kills": lambda _seconds, _drawn: _pytest(
        "tests/chaos/test_killed_processes.py", timeout_s=3600, environment={"WINNOW_TEST_KILLS": "alone"}
    ),
    "kafka": lambda _seconds, _drawn: _pytest(
        "tests/integration", "tests/e2e", "--bus", "kafka", timeout_s=1800, environment={}
    ),
    "gate": lambda _seconds, _drawn: _pytest(
        "tests/unit/scorer/test_gate.py",
        "tests/unit/scorer/test_measures.py",
        "tests/unit/simulators",
        timeout_s=600,
        environment={"WINNOW_TEST_DEFECT_SEEDS": "5"},
    ),
    "million": lambda _seconds, _drawn: _pytest(
        "tests/unit/ledger/test_flat.py", timeout_s=4 * 3600, environment={"WINNOW_LEDGER_TASKS": "1000000"}
    ),
    "busy-demo": lambda _seconds, _drawn: _pytest(
        "tests/soak/test_demo_on_a_busy_machine.py", timeout_s=1800, environment={}
    ),
    "fuzz": lambda seconds, _drawn: _module("tests.fuzz.decoder", str(seconds)),
}


def run_part(name: str, command: Command, commit: str) -> Result:
    """Run a command, print what it prints, and return how it ended with the last line that it printed."""
    shown = " ".join("python" if word == sys.executable else word for word in command)
    print(f"\n{name}: {shown}", flush=True)
    began, last = time.monotonic(), ""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            last = line.strip() or last
    minutes = (time.monotonic() - began) / 60
    day = datetime.now(UTC).date().isoformat()
    return Result(name, shown, day, commit, minutes, process.returncode == 0, last)
