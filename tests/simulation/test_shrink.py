"""A failing run shrinks to one that still fails, by less."""

from __future__ import annotations

import contextlib

from tests.simulation.mutations import MUTATIONS
from tests.simulation.run import play
from tests.simulation.script import script_of
from tests.simulation.shrink import describe, shrink


def test_a_failing_seed_shrinks_and_plays_again() -> None:
    mutation = next(known for known in MUTATIONS if known.name == "lost outbox on restart")
    with contextlib.ExitStack() as patched:
        for patch in mutation.apply():
            patched.enter_context(patch)
        outcome = next(played for seed in range(100) if (played := play(script_of(seed))).broken)
        smallest = shrink(outcome, tries_max=60)
        assert play(smallest.script) == smallest
    assert smallest.broken == outcome.broken
    assert len(smallest.script.faults) < len(outcome.script.faults)
    assert str(smallest.script.faults[0]) in describe(smallest)
