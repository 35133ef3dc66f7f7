"""Try every mutation on a copy of the tree: ``python -m tests.mutation [--only PATTERN] [--jobs N]``.

Prints a table; ends with 1 when a mutation survives, is stale, or fails other than by an assertion.
"""

from __future__ import annotations

import argparse
import queue
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from tests.mutation.catalogue import ROOT, Mutation, catalogue, fault
from tests.mutation.trial import CAUGHT, Trial, copied, outcomes_of, tried


def main() -> int:
    """Try the chosen mutations and print what became of each."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument(
        "--only", default="", help="mutations whose name holds a match of this regular expression"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, help="copies of the tree that are tried beside each other"
    )
    parser.add_argument(
        "--list", action="store_true", help="print the mutations and their tests, try nothing"
    )
    options = parser.parse_args()
    # So that a runner that is stopped takes its tests along.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    chosen = [mutation for mutation in catalogue() if re.search(options.only, mutation.name)]
    if options.list:
        for mutation in chosen:
            print(f"{mutation.name:56} {mutation.path}  {' '.join(mutation.tests)}")
        return 0
    began = time.monotonic()
    caught = 0
    print(f"{'mutation':56} {'seconds':>7}  result", flush=True)
    for mutation, trial in _trials(chosen, max(1, options.jobs)):
        caught += trial.result == CAUGHT
        print(f"{mutation.name:56} {trial.seconds:>7.1f}  {trial.result}{trial.detail}", flush=True)
    print(f"{caught} of {len(chosen)} mutations caught in {time.monotonic() - began:.0f} s")
    return int(caught < len(chosen) or not chosen)


def _trials(chosen: Sequence[Mutation], jobs: int) -> Iterator[tuple[Mutation, Trial]]:
    sound = []
    for mutation in chosen:
        if why := fault(mutation):
            yield mutation, Trial("not tried", f": {why}", 0.0)
        else:
            sound.append(mutation)
    with ExitStack() as ends:
        trees: queue.Queue[Path] = queue.Queue()
        for _ in range(min(jobs, len(sound))):
            place = ends.enter_context(tempfile.TemporaryDirectory(prefix="winnow-mutation-"))
            trees.put(copied(ROOT, Path(place) / "tree"))
        if not sound:
            return
        failing = outcomes_of(
            trees.queue[0], tuple({node for mutation in sound for node in mutation.tests})
        ).failing
        pool = ends.enter_context(ThreadPoolExecutor(jobs))
        for mutation, trial in zip(
            sound, pool.map(lambda mutation: _with_a_tree(trees, mutation, failing), sound), strict=True
        ):
            yield mutation, trial


def _with_a_tree(trees: queue.Queue[Path], mutation: Mutation, failing: Mapping[str, str]) -> Trial:
    tree = trees.get()
    try:
        return tried(tree, mutation, failing)
    finally:
        trees.put(tree)


if __name__ == "__main__":
    sys.exit(main())
