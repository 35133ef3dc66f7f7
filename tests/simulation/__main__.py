"""The command: ``python -m tests.simulation --seeds 1000 --seed 1``."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.run import Outcome, play
from tests.simulation.script import script_of
from tests.simulation.shrink import describe, shrink


def main() -> int:
    """Play seeds; gives 1 when one fails, after printing it."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", default="1000", help="how many, or A..B (B not included)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed, or the one to trace")
    parser.add_argument("--trace", action="store_true", help="tell the story of one seed")
    options = parser.parse_args()
    if options.trace:
        outcome = play(script_of(options.seed), print)
        print(outcome)
        return int(outcome.broken is not None)
    first, last = _range(options.seeds, options.seed)
    started_s = time.process_time()
    tasks = struck = 0
    for seed in range(first, last):
        outcome = play(script_of(seed))
        tasks += outcome.tasks
        struck += outcome.struck
        if outcome.broken is not None:
            _report(seed, outcome)
            return 1
        if (seed - first) % 50 == 49 or seed == last - 1:
            spent_s = time.process_time() - started_s
            rate = f"{tasks / spent_s:.0f} tasks per CPU second"
            print(f"{seed - first + 1} seeds, {tasks} tasks, {struck} faults struck, {rate}", flush=True)
    return 0


def _report(seed: int, outcome: Outcome) -> None:
    print(f"seed {seed} fails: {outcome.text}")
    print(f"its story: python -m tests.simulation --seed {seed} --trace")
    print("shrinking ...", flush=True)
    print(f"the least that still fails:\n{describe(shrink(outcome))}")


def _range(text: str, first: int) -> tuple[int, int]:
    if ".." in text:
        start, _, end = text.partition("..")
        return int(start), int(end)
    return first, first + int(text)


if __name__ == "__main__":
    sys.exit(main())
