"""Bugs put into the real code on purpose, in this process only: the simulation must find each of them.

``python -m tests.simulation.mutations`` prints mutation, seeds needed, and the promise that broke.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from tests.simulation.hashing import begin_fixed
from tests.simulation.journal_bugs import (
    accept_stale_owners_write,
    commit_offsets_first,
    dedupe_window_too_small,
    drop_the_fence,
    hash_leaves_offsets_out,
    lost_outbox_on_restart,
    mark_sent_before_acknowledged,
    publish_before_insert,
    random_event_ids,
    replay_skips_last_block,
    wrong_order_per_key,
)
from tests.simulation.light import staying
from tests.simulation.run import play
from tests.simulation.script import Fault, Kind, Script, script_of
from tests.simulation.service_bugs import (
    call_before_the_commit,
    deliver_without_settle,
    late_cost_is_dropped,
    overspend,
    refund_more_than_charged,
    reserve_ignored,
    select_unscored,
    settle_twice,
    submit_again_on_resume,
    timed_out_is_unpaid,
    unmeasured_is_a_pass,
    work_not_resumed,
)

SEEDS_MAX = 150


@dataclass(frozen=True, slots=True)
class Mutation:
    """A bug: ``apply`` returns the patches that put it in; ``faults`` are put into each seed beside its own."""

    name: str
    apply: Callable[[], list[Any]]
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """After how many seeds a bug was found, and by which promise; 0 seeds: not found."""

    mutation: str
    seeds: int
    broken: str
    text: str


def hunt(mutation: Mutation, seeds_max: int = SEEDS_MAX) -> Found:
    """Play seeds on the broken code until a promise breaks."""
    with contextlib.ExitStack() as patched:
        for change in mutation.apply():
            patched.enter_context(change)
        patched.enter_context(staying())
        for seed in range(seeds_max):
            outcome = play(with_faults(script_of(seed), mutation.faults))
            if outcome.broken is not None:
                return Found(mutation.name, seed + 1, outcome.broken, outcome.text)
    return Found(mutation.name, 0, "", "")


def with_faults(script: Script, faults: tuple[Fault, ...]) -> Script:
    """Put further faults into a run."""
    return replace(script, faults=(*script.faults, *faults))


_SLOW_PROVIDER = tuple(Fault("router.submit", nth, Kind.slow, 7.5) for nth in range(4))
"""Longer than an attempt may take, which drawn faults seldom are."""
_SLOW_COMMITS = tuple(Fault("router.insert", nth, Kind.slow, 0.5) for nth in range(4))
"""Longer than a provider takes to be called."""
MUTATIONS = (
    Mutation("publish before insert", publish_before_insert),
    Mutation("commit offsets first", commit_offsets_first),
    Mutation("drop the fence", drop_the_fence),
    Mutation("dedupe window too small", dedupe_window_too_small),
    Mutation("lost outbox on restart", lost_outbox_on_restart),
    Mutation("replay skips last block", replay_skips_last_block),
    Mutation("wrong order per key", wrong_order_per_key),
    Mutation("accept stale owner's write", accept_stale_owners_write),
    Mutation("marked sent before acknowledged", mark_sent_before_acknowledged),
    Mutation("event ids not derived", random_event_ids),
    Mutation("hash leaves the offsets out", hash_leaves_offsets_out),
    Mutation("settle twice", settle_twice),
    Mutation("reserve ignored", reserve_ignored),
    Mutation("deliver without settle", deliver_without_settle),
    Mutation("refund of more than charged", refund_more_than_charged),
    Mutation("spend what is not there", overspend),
    Mutation("select unscored", select_unscored),
    Mutation("unmeasured is a pass", unmeasured_is_a_pass),
    Mutation("submit again on resume", submit_again_on_resume),
    Mutation("call before the commit", call_before_the_commit, _SLOW_COMMITS),
    Mutation("timed-out attempt unpaid", timed_out_is_unpaid, _SLOW_PROVIDER),
    Mutation("late cost dropped", late_cost_is_dropped),
    Mutation("work not resumed", work_not_resumed),
)


def main() -> int:
    """Hunt every bug, or those whose name holds a word; return 1 when one is not found."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutations")
    parser.add_argument("word", nargs="?", default="")
    parser.add_argument("--seeds", type=int, default=SEEDS_MAX)
    options = parser.parse_args()
    missed = 0
    print(f"{'mutation':34} {'seeds':>5}  promise")
    for found in _all(options.word, options.seeds):
        missed += not found.seeds
        print(f"{found.mutation:34} {found.seeds or '—':>5}  {found.text[:110] or 'NOT FOUND'}", flush=True)
    return int(missed > 0)


def _all(word: str, seeds: int) -> Iterator[Found]:
    for mutation in MUTATIONS:
        if word in mutation.name:
            yield hunt(mutation, seeds)


if __name__ == "__main__":
    begin_fixed("tests.simulation.mutations")
    sys.exit(main())
