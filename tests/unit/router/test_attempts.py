"""An attempt that a provider took and that runs out of time: it may be billed, so it counts as spent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from services.router.app.attempts import AttemptRunner
from services.router.app.candidate_store import RunningAttempt
from services.router.app.offering_pool import OfferingPool
from services.router.domain.calls import Accepted, CancelReply, Running
from services.router.domain.catalogue import CallLimits, Offering, Traits
from services.router.domain.decide import decide
from services.router.domain.evolve import evolve
from services.router.domain.messages import AttemptReturned, Batch, DispatchAttempts
from services.router.domain.run import Run
from tests.support.clock import SetClock
from tests.unit.router.builders import NOW, accepted, funded, market, offering, opened
from winnow.contracts.envelope import Event
from winnow.contracts.events import AttemptFinished, AttemptSubmitted
from winnow.contracts.values import OutcomeClass

PRICE = 3000


@dataclass
class Endless:
    """A provider that takes the work and never ends it."""

    stops: bool = False
    cancelled: list[Any] = field(default_factory=list)

    async def submit(self, offering: Offering, generation: Any) -> Accepted:
        del offering, generation
        return Accepted("ref-1", {"id": "1"})

    async def poll(self, offering: Offering, handle: Any) -> Running:
        del offering, handle
        return Running()

    async def cancel(self, offering: Offering, handle: Any) -> CancelReply:
        del offering
        self.cancelled.append(handle)
        return CancelReply(stopped=self.stops, reason="cancelled" if self.stops else "too_late")


class Request:
    """The media: the request of every order."""

    async def read_request(self, stored: Any) -> dict[str, object]:
        del stored
        return {"prompt": "a product"}


class Deaf:
    """A record that takes every message."""

    async def submit(self, run: Run, input_id: str, message: Any) -> None:
        del run, input_id, message


def fold(run: Run, message: Any) -> tuple[Run, list[Any]]:
    decided = list(decide(run, message, NOW))
    for event in decided:
        if isinstance(event, Event):
            run = evolve(run, event, NOW)
    return run, decided


@pytest.mark.parametrize(
    ("can_cancel", "stops", "outcome", "cost"),
    [
        (False, False, OutcomeClass.collectable, 2 * PRICE),
        (True, False, OutcomeClass.collectable, 2 * PRICE),
        (True, True, OutcomeClass.rejected_without_work, 0),
    ],
)
async def test_an_accepted_attempt_that_times_out_is_booked_as_spent_unless_it_was_stopped(
    can_cancel: bool, stops: bool, outcome: OutcomeClass, cost: int
) -> None:
    slow = offering(
        "slow",
        traits=Traits(cancel=can_cancel),
        limits=CallLimits(total_timeout_s=0.05, poll_interval_s=0.01),
    )
    on = market(slow)
    order = accepted(k=2)
    run, _ = fold(Run(order.task_id), opened(order, on))
    run, _ = fold(run, funded(order, on))
    waiting = tuple(candidate.candidate_id for candidate in run.pending)[:2]
    run, decided = fold(run, DispatchAttempts((Batch(waiting, "slow", "slow", PRICE, ()),), on))
    attempt_id = next(event for event in decided if isinstance(event, AttemptSubmitted)).attempt_id
    clock = SetClock(NOW)
    provider: Any = Endless(stops)
    record: Any = Deaf()
    media: Any = Request()
    pool = OfferingPool(on.catalogue, clock)
    runner = AttemptRunner({"slow": provider}, media, record, pool, clock)
    returned = await runner.submit(RunningAttempt(run, run.attempts[attempt_id], slow))
    assert isinstance(returned, AttemptReturned)
    assert (returned.outcome, returned.reference) == (outcome, "ref-1")
    _, decided = fold(run, returned)
    (finished,) = [event for event in decided if isinstance(event, AttemptFinished)]
    assert finished.actual_cost_usd_micro == cost
    assert bool(provider.cancelled) is can_cancel
