"""Ends of a run by cancel, deadline or cost cap, and attempts that are slow."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from services.router.domain.catalogue import CallLimits, ModePolicy
from services.router.domain.run import Phase
from tests.contract.router.builders import offering_of
from tests.contract.router.router_app import running_router
from tests.contract.router.run_checks import ENDS, assert_allowed, assert_books, of_kind
from tests.contract.router.servers import simulator
from tests.unit.router.builders import template
from winnow.contracts.events import TaskSelected
from winnow.contracts.values import Mode
from winnow.runtime.clock import SystemClock


async def test_what_the_cap_allows_is_waited_for_when_it_is_busy() -> None:
    async with simulator("fal") as fal, simulator("replicate") as replicate:
        await fal.control(latency_s=0.5)
        offerings = offering_of("fal", concurrency_limit=1, max_n=1), offering_of("replicate", 8000)
        recipe = template({Mode.low_cost: ModePolicy(spill_ppm=100 * 1_000_000)})
        async with running_router({"fal": fal, "replicate": replicate}, *offerings, recipe=recipe) as app:
            orders = [await app.order(number, k=1, cost_cap_usd_micro=7_000) for number in range(3)]
            await app.until_true(lambda: sum(len(of_kind(app, end)) for end in ENDS) == len(orders))
            assert len(of_kind(app, "task.selected")) == len(orders), of_kind(app, "task.failed")
            assert {a.offering for a in of_kind(app, "attempt.submitted")} == {"fal"}


async def test_a_cancel_while_generating_ends_the_task_and_stops_the_attempts() -> None:
    async with simulator("fal") as api, running_router({"fal": api}) as app:
        await api.control(latency_s=30)
        order = await app.order(k=1)
        await app.until_true(lambda: bool(of_kind(app, "attempt.submitted")))
        await app.cancel(order)
        cancelled: Any = await app.until(*ENDS)
        assert (cancelled.type, cancelled.stage) == ("task.cancelled", "router")
        assert cancelled.released_credits_micro == order.reserve_credits_micro
        await app.until_true(lambda: app.journal.owned() == {})
        # A committed decision is on the bus a moment later.
        submitted_count = len(of_kind(app, "attempt.submitted"))
        await app.until_true(lambda: len(of_kind(app, "attempt.finished")) == submitted_count)
        assert of_kind(app, "candidates.generated") == []
        assert_books(app)
        assert_allowed(app)


async def test_a_cancel_before_the_funds_never_starts_the_task() -> None:
    async with simulator("fal") as api, running_router({"fal": api}) as app:
        order = await app.order(k=1, fund=False)
        await app.cancel(order)
        await app.fund(order)
        state = await app.journal.read_state(order.task_id)
        assert state is not None
        assert state.phase is Phase.dismissed
        assert app.kinds() == []


async def test_the_deadline_ends_a_stuck_task() -> None:
    async with simulator("fal") as api, running_router({"fal": api}) as app:
        await api.control(stuck_next=50)
        deadline_at = SystemClock().now() + timedelta(seconds=1.5)
        await app.order(k=1, deadline_at=deadline_at)
        failed: Any = await app.until(*ENDS)
        assert (failed.type, failed.code) == ("task.failed", "deadline_exceeded")
        assert_allowed(app)


async def test_the_cost_cap_bounds_the_plan_and_the_spending() -> None:
    async with simulator("fal") as api, running_router({"fal": api}) as app:
        app.verdict = lambda _candidate, _count: False
        await app.order(k=2, cost_cap_usd_micro=10_000)
        failed: Any = await app.until(*ENDS)
        assert (failed.type, failed.code) == ("task.failed", "cost_cap_reached")
        assert sum(len(r.candidates) for r in of_kind(app, "round.planned")) == 3
        assert (await api.ledger())["billed_usd_micro"] == 9_000


async def test_a_slow_attempt_is_tried_elsewhere() -> None:
    async with simulator("fal") as fal, simulator("replicate") as replicate:
        await fal.control(latency_s=20)
        quick = CallLimits(poll_interval_s=0.05, slow_least_s=0.3)
        offerings = (
            offering_of("fal", latency_prior_ms=50, limits=quick),
            offering_of("replicate", 8000),
        )
        async with running_router({"fal": fal, "replicate": replicate}, *offerings) as app:
            await app.order(k=1)
            selected = await app.until(*ENDS)
            assert isinstance(selected, TaskSelected)
            made = {route.offering: route.candidates_count for route in selected.routes}
            assert made["replicate"] >= 1
            await app.until_true(lambda: app.journal.owned() == {})
            # What a journal has decided reaches the bus a moment later.
            submitted = len(of_kind(app, "attempt.submitted"))
            await app.until_true(lambda: len(of_kind(app, "attempt.finished")) == submitted)


async def test_the_late_result_of_a_slow_attempt_is_used() -> None:
    async with simulator("fal") as fal, simulator("replicate") as replicate:
        await fal.control(latency_s=1.0)
        await replicate.control(latency_s=30)
        quick = CallLimits(poll_interval_s=0.05, slow_least_s=0.3)
        offerings = (
            offering_of("fal", latency_prior_ms=50, limits=quick),
            offering_of("replicate", 8000),
        )
        async with running_router({"fal": fal, "replicate": replicate}, *offerings) as app:
            await app.order(k=1)
            selected = await app.until(*ENDS)
            assert isinstance(selected, TaskSelected)
            made = {route.offering: route.candidates_count for route in selected.routes}
            assert made["fal"] > 0
            assert made["replicate"] == 0
            # What is still out counts as spent until it is known.
            assert selected.cost.actual_usd_micro == selected.cost.expected_usd_micro
