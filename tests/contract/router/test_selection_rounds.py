"""From funded to selected through the simulated providers: rounds, modes, and many tasks at once."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any

import pytest

from services.router.domain.catalogue import ModePolicy, Price
from tests.contract.router.builders import offering_of
from tests.contract.router.router_app import running_router
from tests.contract.router.run_checks import ENDS, assert_allowed, assert_books, of_kind
from tests.contract.router.servers import simulator
from tests.unit.router.builders import template
from winnow.contracts.events import TaskSelected
from winnow.contracts.values import Mode


@pytest.mark.parametrize("provider", ["fal", "replicate", "openai"])
async def test_a_funded_task_is_selected(provider: str) -> None:
    async with simulator(provider) as api, running_router({provider: api}) as app:
        order = await app.order(k=2)
        selected = await app.until(*ENDS)
        assert isinstance(selected, TaskSelected), selected
        assert [candidate.rank for candidate in selected.selected] == [1, 2]
        for candidate in selected.selected:
            key = candidate.stored.key
            assert key.startswith(f"candidates/{order.account_id}/{order.task_id}/")
            assert candidate.stored.sha256[:16] in key
            assert ("private", key) in app.objects.files
            assert (candidate.stored.width, candidate.stored.height) == (512, 512)
        ledger = await api.ledger()
        assert selected.cost.actual_usd_micro == ledger["billed_usd_micro"]
        assert ledger["billed_twice"] == []
        assert_books(app)
        assert_allowed(app)


async def test_too_few_pass_and_a_second_round_fills_up() -> None:
    async with simulator("fal") as api, running_router({"fal": api}) as app:
        app.verdict = lambda _candidate, count: count >= len(of_kind(app, "round.planned")[0].candidates)
        await app.order(k=3)
        selected = await app.until(*ENDS)
        assert isinstance(selected, TaskSelected)
        assert len(selected.selected) == 3
        assert [r.decision.value for r in of_kind(app, "round.closed")] == ["regenerate", "select"]
        assert [r.round_index for r in of_kind(app, "round.planned")] == [0, 1]
        first, second = of_kind(app, "round.planned")
        assert second.assumed_pass_rate_ppm < first.assumed_pass_rate_ppm
        assert_allowed(app)


async def test_nothing_passes_and_the_task_fails_with_the_credits_released() -> None:
    async with simulator("fal") as api, running_router({"fal": api}, recipe=template(rounds_max=2)) as app:
        app.verdict = lambda _candidate, _count: False
        order = await app.order(k=1)
        failed: Any = await app.until(*ENDS)
        assert (failed.type, failed.code) == ("task.failed", "rounds_exhausted")
        await app.until("ReleaseCredits")
        release: Any = of_kind(app, "ReleaseCredits")[0]
        assert release.reservation_id == order.reservation_id
        assert release.cost.actual_usd_micro == (await api.ledger())["billed_usd_micro"]
        assert_allowed(app)


async def test_some_pass_and_fewer_are_selected_when_the_rounds_are_used_up() -> None:
    async with simulator("fal") as api, running_router({"fal": api}, recipe=template(rounds_max=1)) as app:
        app.verdict = lambda _candidate, count: count == 0
        await app.order(k=4)
        selected: Any = await app.until(*ENDS)
        assert selected.type == "task.selected"
        assert len(selected.selected) == 1
        assert selected.reason == "rounds_exhausted"


async def test_stable_mode_uses_one_offering_only() -> None:
    async with simulator("fal") as fal, simulator("replicate") as replicate:
        modes = {Mode.stable: ModePolicy(pinned=True, offerings=("replicate",))}
        offerings = offering_of("fal"), offering_of("replicate", 8000)
        apis = {"fal": fal, "replicate": replicate}
        async with running_router(apis, *offerings, recipe=template(modes)) as app:
            await app.order(k=2, mode=Mode.stable)
            selected = await app.until(*ENDS)
            assert isinstance(selected, TaskSelected)
            assert [route.offering for route in selected.routes] == ["replicate"]


async def test_a_price_that_is_not_valid_today_is_not_routable() -> None:
    async with simulator("fal") as api:
        future = offering_of("fal", prices=(Price(3000, date(2100, 1, 1)),))
        async with running_router({"fal": api}, future) as app:
            await app.order(k=1)
            failed: Any = await app.until(*ENDS)
            assert (failed.type, failed.code) == ("task.failed", "no_offering")


async def test_many_tasks_at_once_each_reach_one_end() -> None:
    async with simulator("fal") as api, running_router({"fal": api}, attempts_max=4) as app:
        orders = [await app.order(number, k=1) for number in range(1, 9)]
        await app.until_true(lambda: len(of_kind(app, "task.selected")) == len(orders))
        assert {e.task_id for e in of_kind(app, "task.selected")} == {o.task_id for o in orders}
        await asyncio.sleep(0)
        assert app.router.pool.in_flight == 0
