"""The dispatcher asks no more of a run that another replica owns than a look now and then."""

from __future__ import annotations

import asyncio
from typing import Any

from services.router.app.dispatcher import Dispatcher
from services.router.app.offering_pool import OfferingPool
from tests.support.clock import SetClock
from tests.unit.router.builders import NOW, market, offering, run


class AnothersRecord:
    """The record of runs that are all somebody else's: every input is refused at once."""

    def __init__(self) -> None:
        self.refused = 0

    async def submit(self, *_: Any) -> None:
        self.refused += 1


async def test_a_run_of_another_owner_is_not_asked_again_and_again() -> None:
    clock, record = SetClock(NOW), AnothersRecord()
    pool = OfferingPool(market(offering("cheap")).catalogue, clock)
    dispatcher = Dispatcher(record, pool, clock, attempts_max=8, epoch="e")
    dispatcher.track(run(1))
    turns = asyncio.create_task(dispatcher.run())

    for _ in range(200):
        await asyncio.sleep(0)

    turns.cancel()
    await asyncio.gather(turns, return_exceptions=True)
    assert record.refused == 1
    assert pool.in_flight == 0
