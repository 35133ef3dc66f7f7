"""Seeds that every test run plays; ``make simulate`` plays as many as it is given."""

from __future__ import annotations

import gc
import os

import pytest

from tests.simulation.run import play
from tests.simulation.script import script_of

SEEDS = int(os.environ.get("WINNOW_SIMULATED_SEEDS", "250"))
_PART = 25


@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", range(0, SEEDS, _PART))
def test_every_promise_holds_in_every_seed(first: int) -> None:
    for seed in range(first, first + _PART):
        outcome = play(script_of(seed))
        assert outcome.broken is None, (
            f"seed {seed}: {outcome.text}; python -m tests.simulation --seed {seed} --trace"
        )


def test_the_same_seed_gives_the_same_run() -> None:
    first, second = play(script_of(8)), play(script_of(8))
    assert first == second
    gc.collect()
