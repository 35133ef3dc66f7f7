"""Many seeds, on every core: parts of a range of seeds are played in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from tests.simulation.hashing import fixed_in_children
from tests.simulation.light import staying
from tests.simulation.run import play
from tests.simulation.script import script_of

PART = 25
SEEDS = int(os.environ.get("WINNOW_SIMULATED_SEEDS", "1000"))
"""Number of seeds that a run of the tests plays; ``make test`` asks for 10,000."""


@dataclass(frozen=True, slots=True)
class Part:
    """Result of the seeds from ``first`` on; it ends with the one that is ``broken``, which ``text`` describes."""

    first: int
    seeds: int
    tasks: int
    struck: int
    cpu_s: float
    digests: tuple[str, ...]
    broken: int | None = None
    text: str = ""


@contextmanager
def played(first: int, last: int, *, idly: bool = False) -> Iterator[dict[int, Future[Part]]]:
    """Play seeds ``first`` to ``last`` (not included); yield the parts by their first seed, in order.

    ``idly`` takes only the time of the processors that nobody else wants.
    """
    # Spawned: a forked process would carry the caller's event loops and threads along.
    pool = ProcessPoolExecutor(
        os.cpu_count(),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_stand_back if idly else None,
    )
    try:
        with fixed_in_children():
            parts = {
                index: pool.submit(_play, index, min(index + PART, last))
                for index in range(first, last, PART)
            }
        yield parts
    finally:
        pool.shutdown(cancel_futures=True)


def _stand_back() -> None:
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.nice(19)


def _play(first: int, last: int) -> Part:
    with staying():
        return _play_all(first, last)


def _play_all(first: int, last: int) -> Part:
    started_s = time.process_time()
    tasks = struck = 0
    digests: list[str] = []
    for seed in range(first, last):
        outcome = play(script_of(seed))
        tasks += outcome.tasks
        struck += outcome.struck
        digests.append(outcome.digest)
        if outcome.broken is not None:
            spent_s = time.process_time() - started_s
            return Part(first, seed + 1 - first, tasks, struck, spent_s, tuple(digests), seed, outcome.text)
    return Part(first, last - first, tasks, struck, time.process_time() - started_s, tuple(digests))
