"""Images that a provider made and billed wait for an absent object store; they are not bought again."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from services.router.app import retry
from tests.contract.router.fakes import MemoryObjects, RouterFakes
from tests.contract.router.router_app import RouterApp, running_router
from tests.contract.router.run_checks import ENDS, assert_allowed, assert_books, of_kind
from tests.contract.router.servers import Simulator, simulator
from tests.support.eventually import eventually
from winnow.contracts.errors import Unavailable
from winnow.contracts.events import TaskSelected
from winnow.runtime.clock import SystemClock


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the store again soon; the pauses grow as they do in the service."""
    monkeypatch.setattr(retry, "_FIRST_PAUSE_S", 0.01)


@dataclass
class FailingObjects(MemoryObjects):
    """Refuses each object a number of times, per call."""

    refusals: dict[str, int] = field(default_factory=dict)
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        self._answer("get", key)
        return await super().get(bucket, key, max_bytes)

    async def put(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        if key.startswith("candidates/"):
            self._answer("put", key)
        await super().put(bucket, key, body, content_type)

    def _answer(self, call: str, key: str) -> None:
        self.asked[call, key] += 1
        if self.asked[call, key] <= self.refusals.get(call, 0):
            raise Unavailable("the object store is away")


def _attempts(app: RouterApp) -> int:
    return len(of_kind(app, "attempt.submitted"))


@pytest.mark.parametrize("provider", ["fal", "replicate", "openai"])
async def test_what_was_made_is_stored_once_the_store_is_back(provider: str) -> None:
    fakes = RouterFakes(objects=FailingObjects(refusals={"put": 3}))
    async with simulator(provider) as api, running_router({provider: api}, fakes=fakes) as app:
        await app.order(k=2)
        selected = await app.until(*ENDS)
        assert isinstance(selected, TaskSelected), selected
        assert len(selected.selected) == 2
        assert len(of_kind(app, "round.planned")) == 1
        assert not of_kind(app, "candidates.failed")
        ledger = await api.ledger()
        assert selected.cost.actual_usd_micro == ledger["billed_usd_micro"]
        assert_books(app)


async def test_a_request_that_cannot_be_read_now_is_read_later_by_the_same_attempt() -> None:
    fakes = RouterFakes(objects=FailingObjects(refusals={"get": 4}))
    async with simulator("fal") as api, running_router({"fal": api}, fakes=fakes) as app:
        await app.order(k=1)
        selected = await app.until(*ENDS)
        assert isinstance(selected, TaskSelected), selected
        assert {attempt.try_number for attempt in of_kind(app, "attempt.submitted")} == {1}
        assert not of_kind(app, "candidates.failed")


async def test_a_store_that_stays_away_ends_the_task_at_its_deadline_and_nothing_more_is_bought() -> None:
    fakes = RouterFakes(objects=FailingObjects(refusals={"put": 10_000}))
    async with simulator("replicate") as api, running_router({"replicate": api}, fakes=fakes) as app:
        await app.order(k=1, deadline_at=SystemClock().now() + timedelta(seconds=2))
        failed: Any = await app.until(*ENDS)
        assert (failed.type, failed.code) == ("task.failed", "deadline_exceeded")
        planned = of_kind(app, "round.planned")
        assert len(planned) == 1
        bought = {one_id for event in of_kind(app, "attempt.submitted") for one_id in event.candidate_ids}
        assert bought == {candidate.candidate_id for candidate in planned[0].candidates}
        # The attempts end by themselves: nothing waits for a store in the name of a task that is over.
        await eventually(lambda: len(of_kind(app, "attempt.finished")) == _attempts(app), within_s=10)
        assert_allowed(app)


@asynccontextmanager
async def cancelled_while_refused(call: str, refusals: int) -> AsyncIterator[tuple[RouterApp, Simulator]]:
    """Order one picture, cancel once the store has refused a call, and wait for the end of every attempt."""
    objects = FailingObjects(refusals={call: refusals})
    async with (
        simulator("fal") as api,
        running_router({"fal": api}, fakes=RouterFakes(objects=objects)) as app,
    ):
        order = await app.order(k=1)
        await app.until_true(lambda: any(asked == call for asked, _ in objects.asked))
        await app.cancel(order)
        await app.until_true(lambda: len(of_kind(app, "attempt.finished")) == _attempts(app))
        yield app, api


async def test_a_cancelled_task_stops_waiting_for_the_store() -> None:
    async with cancelled_while_refused("put", 10_000) as (app, _):
        await app.until("task.cancelled")
        assert_books(app)


async def test_a_cancelled_task_that_waits_for_its_request_buys_nothing() -> None:
    async with cancelled_while_refused("get", 2) as (app, api):
        assert {event.actual_cost_usd_micro for event in of_kind(app, "attempt.finished")} == {0}
        assert (await api.ledger())["billed_usd_micro"] == 0
