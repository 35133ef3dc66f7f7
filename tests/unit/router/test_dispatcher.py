"""The dispatcher asks no more of a run that another replica owns than a look now and then."""

from __future__ import annotations

import asyncio
from typing import Any

from services.router.app.dispatcher import Dispatcher
from services.router.app.offering_pool import OfferingPool
from services.router.domain.run import Run
from tests.support.clock import SetClock
from tests.unit.router.builders import NOW, market, offering, run


class AnothersRecord:
    """The record of runs that are all somebody else's: every input is refused at once."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    async def submit(self, run: Run, *_: Any) -> None:
        self.refused.append(run.task_id)


def _dispatcher(record: AnothersRecord, *, attempts_max: int = 8) -> tuple[Dispatcher, OfferingPool]:
    clock = SetClock(NOW)
    pool = OfferingPool(market(offering("cheap")).catalogue, clock)
    return Dispatcher(record, pool, clock, attempts_max=attempts_max, epoch="e"), pool


async def _running(dispatcher: Dispatcher) -> None:
    turns = asyncio.create_task(dispatcher.run())
    for _ in range(200):
        await asyncio.sleep(0)
    turns.cancel()
    await asyncio.gather(turns, return_exceptions=True)


async def test_a_run_of_another_owner_is_not_asked_again_and_again() -> None:
    record = AnothersRecord()
    dispatcher, pool = _dispatcher(record)
    dispatcher.track(run(1))
    await _running(dispatcher)
    assert len(record.refused) == 1
    assert pool.in_flight == 0


async def test_a_follow_up_overtakes_nobody_who_waits() -> None:
    record = AnothersRecord()
    dispatcher, pool = _dispatcher(record, attempts_max=1)
    waiting, fresh = run(1, "acct_b", priority=9), run(2, "acct_a")
    dispatcher.track(waiting)
    dispatcher.track(fresh)
    assert dispatcher.follow_ups({fresh.task_id}) == []
    assert pool.in_flight == 1
    await _running(dispatcher)
    assert record.refused[0] == waiting.task_id


def test_a_turn_is_granted_once_and_gives_its_slots_back() -> None:
    dispatcher, pool = _dispatcher(AnothersRecord())
    fresh = run(1)
    dispatcher.track(fresh)
    [turn] = dispatcher.follow_ups({fresh.task_id})
    assert dispatcher.follow_ups({fresh.task_id}) == []
    assert pool.in_flight == 1
    dispatcher.settle(turn)
    assert pool.in_flight == 0
    [again] = dispatcher.follow_ups({fresh.task_id})
    assert again.input_id != turn.input_id
