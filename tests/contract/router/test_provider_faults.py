"""Faults of the simulated providers: what is sent elsewhere, retried, or counted as spent."""

from __future__ import annotations

from typing import Any

import pytest

from services.router.domain.catalogue import CallLimits
from services.router.domain.health import BreakerState
from tests.contract.router.builders import offering_of
from tests.contract.router.router_app import running_router
from tests.contract.router.run_checks import ENDS, of_kind
from tests.contract.router.servers import simulator
from tests.unit.router.builders import template
from winnow.contracts.events import TaskSelected
from winnow.contracts.values import OutcomeClass
from winnow.runtime.clock import SystemClock


async def test_an_outage_falls_back_to_another_offering() -> None:
    async with simulator("fal") as fal, simulator("replicate") as replicate:
        await fal.control(outage=True)
        offerings = offering_of("fal"), offering_of("replicate", 8000)
        async with running_router({"fal": fal, "replicate": replicate}, *offerings) as app:
            await app.order(k=2)
            selected = await app.until(*ENDS)
            assert isinstance(selected, TaskSelected)
            by_offering = {route.offering: route for route in selected.routes}
            assert by_offering["replicate"].passed_count >= 2
            assert by_offering["fal"].actual_cost_usd_micro == 0
            refused = [a for a in of_kind(app, "attempt.finished") if a.offering == "fal"]
            assert all(a.outcome is OutcomeClass.rejected_without_work for a in refused)
            assert all(a.will_retry for a in refused)


async def test_a_refused_connection_is_never_delivered_and_costs_nothing() -> None:
    async with simulator("fal") as fal, simulator("replicate") as replicate:
        fal.base_url = "http://127.0.0.1:9"
        offerings = offering_of("fal"), offering_of("replicate", 8000)
        async with running_router({"fal": fal, "replicate": replicate}, *offerings) as app:
            await app.order(k=1)
            selected = await app.until(*ENDS)
            assert isinstance(selected, TaskSelected)
            lost = [a for a in of_kind(app, "attempt.finished") if a.offering == "fal"]
            assert {a.outcome for a in lost} == {OutcomeClass.never_delivered}
            assert {a.actual_cost_usd_micro for a in lost} == {0}


@pytest.mark.parametrize("provider", ["fal", "replicate", "openai"])
async def test_a_lost_reply_counts_as_spent_and_is_not_paid_again(provider: str) -> None:
    async with simulator(provider) as api, running_router({provider: api}) as app:
        await api.control(lost_reply_next=1)
        await app.order(k=1)
        selected = await app.until(*ENDS)
        assert isinstance(selected, TaskSelected)
        unknown = [a for a in of_kind(app, "attempt.finished") if a.outcome is OutcomeClass.outcome_unknown]
        assert len(unknown) == 1
        assert unknown[0].actual_cost_usd_micro == unknown[0].expected_cost_usd_micro
        assert not unknown[0].will_retry
        ledger = await api.ledger()
        assert ledger["billed_twice"] == []
        assert selected.cost.actual_usd_micro == ledger["billed_usd_micro"]


async def test_a_429_is_retried_after_the_time_it_names() -> None:
    async with simulator("fal") as api, running_router({"fal": api}) as app:
        await api.control(too_many_next=1, retry_after_s=1)
        clock = SystemClock()
        started_s = clock.monotonic_s()
        await app.order(k=1)
        selected = await app.until(*ENDS)
        assert isinstance(selected, TaskSelected)
        refused = of_kind(app, "attempt.finished")[0]
        assert (refused.outcome, refused.reason) == (
            OutcomeClass.rejected_without_work,
            "rate_limited",
        )
        assert clock.monotonic_s() - started_s >= 1.0


async def test_a_refused_prompt_is_not_sent_to_the_same_offering_for_ever() -> None:
    async with simulator("fal") as api, running_router({"fal": api}, recipe=template(rounds_max=1)) as app:
        await api.control(filtered_next=100)
        await app.order(k=1)
        failed: Any = await app.until(*ENDS)
        assert failed.type == "task.failed"
        candidates = of_kind(app, "round.planned")[0].candidates
        attempts = of_kind(app, "attempt.submitted")
        tried = [candidate_id for a in attempts for candidate_id in a.candidate_ids]
        assert all(tried.count(c.candidate_id) <= 3 for c in candidates)
        assert app.router.pool.breaker_of("fal") is BreakerState.closed


async def test_images_that_do_not_come_fail_their_candidates() -> None:
    async with simulator("replicate") as api, running_router({"replicate": api}) as app:
        await api.control(empty_next=1)
        await app.order(k=1)
        selected = await app.until(*ENDS)
        assert isinstance(selected, TaskSelected)
        failed = of_kind(app, "candidates.failed")
        assert {c.reason for event in failed for c in event.candidates} == {"image_missing"}


async def test_expired_links_fail_their_candidates() -> None:
    async with simulator("fal") as api, running_router({"fal": api}, recipe=template(rounds_max=1)) as app:
        await api.control(links_expired=True)
        await app.order(k=1)
        failed: Any = await app.until(*ENDS)
        assert failed.type == "task.failed"
        reasons = {c.reason for e in of_kind(app, "candidates.failed") for c in e.candidates}
        assert reasons == {"link_expired"}


async def test_an_offering_whose_pictures_are_useless_is_left_alone_like_one_that_fails() -> None:
    async with simulator("fal") as fal, simulator("replicate") as replicate:
        await fal.control(links_expired=True)
        offerings = offering_of("fal", max_n=1), offering_of("replicate", 100_000)
        async with running_router({"fal": fal, "replicate": replicate}, *offerings) as app:
            await app.order(k=1)
            selected = await app.until(*ENDS)
            assert isinstance(selected, TaskSelected), selected
            assert app.router.pool.breaker_of("fal") is BreakerState.open


async def test_an_unknown_status_word_means_look_again() -> None:
    async with simulator("replicate") as api, running_router({"replicate": api}) as app:
        await api.control(status_word="daydreaming", latency_s=0.3)
        await app.order(k=1)
        assert isinstance(await app.until(*ENDS), TaskSelected)


async def test_a_hanging_submit_ends_at_its_own_deadline_as_unknown() -> None:
    async with simulator("fal") as api:
        limits = CallLimits(
            connect_timeout_s=0.2, read_timeout_s=0.3, total_timeout_s=1, poll_interval_s=0.05
        )
        async with running_router({"fal": api}, offering_of("fal", limits=limits)) as app:
            await api.control(hang_next=1)
            await app.order(k=1)
            assert isinstance(await app.until(*ENDS), TaskSelected)
            assert of_kind(app, "attempt.finished")[0].outcome is OutcomeClass.outcome_unknown
