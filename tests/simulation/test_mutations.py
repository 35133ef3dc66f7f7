"""The simulation must find every bug that is put in on purpose; without one it finds none."""

from __future__ import annotations

import pytest

from tests.simulation.mutations import MUTATIONS, Mutation, hunt, with_faults
from tests.simulation.run import play
from tests.simulation.script import script_of


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_bug_put_in_on_purpose_is_found(mutation: Mutation) -> None:
    found = hunt(mutation)
    assert found.seeds, f"{mutation.name} was not found"


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "mutation", [mutation for mutation in MUTATIONS if mutation.faults], ids=lambda mutation: mutation.name
)
def test_the_faults_that_a_bug_needs_break_no_promise_without_it(mutation: Mutation) -> None:
    for seed in range(10):
        outcome = play(with_faults(script_of(seed), mutation.faults))
        assert outcome.broken is None, f"seed {seed}: {outcome.text}"
