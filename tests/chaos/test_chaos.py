"""A few scenarios of the fault matrix in every test run, on one running line; `make chaos` plays them all."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.chaos.run import play
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.world import ChaosWorld, running_world

pytestmark = [pytest.mark.one_bus, pytest.mark.asyncio(loop_scope="module")]
# Everything again comes first, while the topics hold little.
SELECTED = (
    "bus: every record again three times, shuffled",
    "router: SIGKILL at after_provider_call:3",
    "database: connections cut and refused for 5 s",
    "all five: SIGTERM one by one, under load",
)
_SCENARIOS = {row.name: row for row in SCENARIOS}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(bus: str) -> AsyncIterator[ChaosWorld]:
    async with running_world(bus, keeps_topics=False) as chaos_world:
        yield chaos_world


@pytest.mark.parametrize("name", SELECTED)
async def test_the_promises_hold_over_a_fault(world: ChaosWorld, name: str) -> None:
    outcome = await play(world, _SCENARIOS[name])
    assert outcome.verdict.broken == []


async def test_rows_have_names_of_their_own() -> None:
    assert len(_SCENARIOS) == len(SCENARIOS)
