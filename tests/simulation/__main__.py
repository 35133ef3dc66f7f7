"""The command: ``python -m tests.simulation --seeds 1000 --seed 1``."""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import Future

from tests.simulation.hashing import begin_fixed
from tests.simulation.many import Part, played
from tests.simulation.run import play
from tests.simulation.script import script_of
from tests.simulation.shrink import describe, shrink


def main() -> int:
    """Play seeds; return 1 when one fails, after printing it."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", default="1000", help="how many, or A..B (B not included)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed, or the one to trace")
    parser.add_argument("--trace", action="store_true", help="tell the story of one seed")
    options = parser.parse_args()
    if options.trace:
        outcome = play(script_of(options.seed), print)
        print(outcome)
        return int(outcome.broken is not None)
    with played(*_range(options.seeds, options.seed)) as parts:
        return _follow(parts)


def _follow(parts: dict[int, Future[Part]]) -> int:
    seeds = tasks = struck = 0
    cpu_s = 0.0
    for waiting in parts.values():
        part = waiting.result()
        seeds, tasks, struck = seeds + part.seeds, tasks + part.tasks, struck + part.struck
        cpu_s += part.cpu_s
        if part.broken is not None:
            _report(part.broken, part.text)
            return 1
        rate = f"{tasks / cpu_s:.0f} tasks per CPU second"
        print(f"{seeds} seeds, {tasks} tasks, {struck} faults struck, {rate}", flush=True)
    return 0


def _report(seed: int, text: str) -> None:
    print(f"seed {seed} fails: {text}")
    print(f"its story: python -m tests.simulation --seed {seed} --trace")
    print("shrinking ...", flush=True)
    print(f"the least that still fails:\n{describe(shrink(play(script_of(seed))))}")


def _range(text: str, first: int) -> tuple[int, int]:
    if ".." in text:
        start, _, end = text.partition("..")
        return int(start), int(end)
    return first, first + int(text)


if __name__ == "__main__":
    begin_fixed("tests.simulation")
    sys.exit(main())
