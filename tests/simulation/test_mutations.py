"""The simulation must find every bug that is put in on purpose; without one it finds none."""

from __future__ import annotations

import pytest

from tests.simulation.mutations import MUTATIONS, Mutation, hunt


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_a_bug_put_in_on_purpose_is_found(mutation: Mutation) -> None:
    found = hunt(mutation)
    assert found.seeds, f"{mutation.name} was not found"
