"""From funded to selected through the simulated providers, with their faults."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest

from services.router.domain.catalogue import CallLimits, ModePolicy, Price
from services.router.domain.health import BreakerState
from services.router.domain.run import Phase
from tests.contract.router.line_checks import ENDS, assert_allowed, assert_books, of_kind
from tests.contract.router.router_app import RouterApp, RouterWorld, line, offering_of, simulator
from tests.unit.router.builders import template
from winnow.contracts.events import TaskSelected
from winnow.contracts.values import Mode, OutcomeClass
from winnow.runtime.clock import SystemClock


@pytest.mark.parametrize("provider", ["fal", "replicate", "openai"])
async def test_a_funded_task_is_selected(provider: str) -> None:
    async with simulator(provider) as api, line({provider: api}) as router_line:
        order = await router_line.order(k=2)
        selected = await router_line.until(*ENDS)
        assert isinstance(selected, TaskSelected), selected
        assert [candidate.rank for candidate in selected.selected] == [1, 2]
        for candidate in selected.selected:
            key = candidate.stored.key
            assert key.startswith(f"candidates/{order.account_id}/{order.task_id}/")
            assert candidate.stored.sha256[:16] in key
            assert ("private", key) in router_line.objects.files
            assert (candidate.stored.width, candidate.stored.height) == (512, 512)
        ledger = await api.ledger()
        assert selected.cost.actual_usd_micro == ledger["billed_usd_micro"]
        assert ledger["billed_twice"] == []
        assert_books(router_line)
        assert_allowed(router_line)


async def test_too_few_pass_and_a_second_round_fills_up() -> None:
    async with simulator("fal") as api, line({"fal": api}) as router_line:
        router_line.verdict = lambda _candidate, count: (
            count >= len(of_kind(router_line, "round.planned")[0].candidates)
        )
        await router_line.order(k=3)
        selected = await router_line.until(*ENDS)
        assert isinstance(selected, TaskSelected)
        assert len(selected.selected) == 3
        assert [r.decision.value for r in of_kind(router_line, "round.closed")] == ["regenerate", "select"]
        assert [r.round_index for r in of_kind(router_line, "round.planned")] == [0, 1]
        first, second = of_kind(router_line, "round.planned")
        assert second.assumed_pass_rate_ppm < first.assumed_pass_rate_ppm
        assert_allowed(router_line)


async def test_nothing_passes_and_the_task_fails_with_the_credits_released() -> None:
    async with simulator("fal") as api, line({"fal": api}, recipe=template(rounds_max=2)) as router_line:
        router_line.verdict = lambda _candidate, _count: False
        order = await router_line.order(k=1)
        failed: Any = await router_line.until(*ENDS)
        assert (failed.type, failed.code) == ("task.failed", "rounds_exhausted")
        await router_line.until("ReleaseCredits")
        release: Any = of_kind(router_line, "ReleaseCredits")[0]
        assert release.reservation_id == order.reservation_id
        assert release.cost.actual_usd_micro == (await api.ledger())["billed_usd_micro"]
        assert_allowed(router_line)


async def test_some_pass_and_fewer_are_selected_when_the_rounds_are_used_up() -> None:
    async with simulator("fal") as api, line({"fal": api}, recipe=template(rounds_max=1)) as router_line:
        router_line.verdict = lambda _candidate, count: count == 0
        await router_line.order(k=4)
        selected: Any = await router_line.until(*ENDS)
        assert selected.type == "task.selected"
        assert len(selected.selected) == 1
        assert selected.reason == "rounds_exhausted"


async def test_what_the_cap_allows_is_waited_for_when_it_is_busy() -> None:
    async with simulator("fal") as fal, simulator("replicate") as replicate:
        await fal.control(latency_s=0.5)
        offerings = offering_of("fal", concurrency_limit=1, max_n=1), offering_of("replicate", 8000)
        recipe = template({Mode.low_cost: ModePolicy(spill_ppm=100 * 1_000_000)})
        async with line({"fal": fal, "replicate": replicate}, *offerings, recipe=recipe) as router_line:
            orders = [await router_line.order(number, k=1, cost_cap_usd_micro=7_000) for number in range(3)]
            await router_line.until_true(
                lambda: sum(len(of_kind(router_line, end)) for end in ENDS) == len(orders)
            )
            assert len(of_kind(router_line, "task.selected")) == len(orders), of_kind(
                router_line, "task.failed"
            )
            assert {a.offering for a in of_kind(router_line, "attempt.submitted")} == {"fal"}


async def test_an_outage_falls_back_to_another_offering() -> None:
    async with simulator("fal") as fal, simulator("replicate") as replicate:
        await fal.control(outage=True)
        offerings = offering_of("fal"), offering_of("replicate", 8000)
        async with line({"fal": fal, "replicate": replicate}, *offerings) as router_line:
            await router_line.order(k=2)
            selected = await router_line.until(*ENDS)
            assert isinstance(selected, TaskSelected)
            by_offering = {route.offering: route for route in selected.routes}
            assert by_offering["replicate"].passed_count >= 2
            assert by_offering["fal"].actual_cost_usd_micro == 0
            refused = [a for a in of_kind(router_line, "attempt.finished") if a.offering == "fal"]
            assert all(a.outcome is OutcomeClass.rejected_without_work for a in refused)
            assert all(a.will_retry for a in refused)


async def test_a_refused_connection_is_never_delivered_and_costs_nothing() -> None:
    async with simulator("fal") as fal, simulator("replicate") as replicate:
        fal.base_url = "http://127.0.0.1:9"
        offerings = offering_of("fal"), offering_of("replicate", 8000)
        async with line({"fal": fal, "replicate": replicate}, *offerings) as router_line:
            await router_line.order(k=1)
            selected = await router_line.until(*ENDS)
            assert isinstance(selected, TaskSelected)
            lost = [a for a in of_kind(router_line, "attempt.finished") if a.offering == "fal"]
            assert {a.outcome for a in lost} == {OutcomeClass.never_delivered}
            assert {a.actual_cost_usd_micro for a in lost} == {0}


@pytest.mark.parametrize("provider", ["fal", "replicate", "openai"])
async def test_a_lost_reply_counts_as_spent_and_is_not_paid_again(provider: str) -> None:
    async with simulator(provider) as api, line({provider: api}) as router_line:
        await api.control(lost_reply_next=1)
        await router_line.order(k=1)
        selected = await router_line.until(*ENDS)
        assert isinstance(selected, TaskSelected)
        unknown = [
            a for a in of_kind(router_line, "attempt.finished") if a.outcome is OutcomeClass.outcome_unknown
        ]
        assert len(unknown) == 1
        assert unknown[0].actual_cost_usd_micro == unknown[0].expected_cost_usd_micro
        assert not unknown[0].will_retry
        ledger = await api.ledger()
        assert ledger["billed_twice"] == []
        assert selected.cost.actual_usd_micro == ledger["billed_usd_micro"]


async def test_a_429_is_retried_after_the_time_it_names() -> None:
    async with simulator("fal") as api, line({"fal": api}) as router_line:
        await api.control(too_many_next=1, retry_after_s=1)
        clock = SystemClock()
        started_s = clock.monotonic_s()
        await router_line.order(k=1)
        selected = await router_line.until(*ENDS)
        assert isinstance(selected, TaskSelected)
        refused = of_kind(router_line, "attempt.finished")[0]
        assert (refused.outcome, refused.reason) == (
            OutcomeClass.rejected_without_work,
            "rate_limited",
        )
        assert clock.monotonic_s() - started_s >= 1.0


async def test_a_refused_prompt_is_not_sent_to_the_same_offering_for_ever() -> None:
    async with simulator("fal") as api, line({"fal": api}, recipe=template(rounds_max=1)) as router_line:
        await api.control(filtered_next=100)
        await router_line.order(k=1)
        failed: Any = await router_line.until(*ENDS)
        assert failed.type == "task.failed"
        candidates = of_kind(router_line, "round.planned")[0].candidates
        attempts = of_kind(router_line, "attempt.submitted")
        tried = [candidate_id for a in attempts for candidate_id in a.candidate_ids]
        assert all(tried.count(c.candidate_id) <= 3 for c in candidates)
        assert router_line.router.pool.breaker_of("fal") is BreakerState.closed


async def test_images_that_do_not_come_fail_their_candidates() -> None:
    async with simulator("replicate") as api, line({"replicate": api}) as router_line:
        await api.control(empty_next=1)
        await router_line.order(k=1)
        selected = await router_line.until(*ENDS)
        assert isinstance(selected, TaskSelected)
        failed = of_kind(router_line, "candidates.failed")
        assert {c.reason for event in failed for c in event.candidates} == {"image_missing"}


async def test_expired_links_fail_their_candidates() -> None:
    async with simulator("fal") as api, line({"fal": api}, recipe=template(rounds_max=1)) as router_line:
        await api.control(links_expired=True)
        await router_line.order(k=1)
        failed: Any = await router_line.until(*ENDS)
        assert failed.type == "task.failed"
        reasons = {c.reason for e in of_kind(router_line, "candidates.failed") for c in e.candidates}
        assert reasons == {"link_expired"}


async def test_an_offering_whose_pictures_are_useless_is_left_alone_like_one_that_fails() -> None:
    async with simulator("fal") as fal, simulator("replicate") as replicate:
        await fal.control(links_expired=True)
        offerings = offering_of("fal", max_n=1), offering_of("replicate", 100_000)
        async with line({"fal": fal, "replicate": replicate}, *offerings) as router_line:
            await router_line.order(k=1)
            selected = await router_line.until(*ENDS)
            assert isinstance(selected, TaskSelected), selected
            assert router_line.router.pool.breaker_of("fal") is BreakerState.open


async def test_an_unknown_status_word_means_look_again() -> None:
    async with simulator("replicate") as api, line({"replicate": api}) as router_line:
        await api.control(status_word="daydreaming", latency_s=0.3)
        await router_line.order(k=1)
        assert isinstance(await router_line.until(*ENDS), TaskSelected)


async def test_a_cancel_while_generating_ends_the_task_and_stops_the_attempts() -> None:
    async with simulator("fal") as api, line({"fal": api}) as router_line:
        await api.control(latency_s=30)
        order = await router_line.order(k=1)
        await router_line.until_true(lambda: bool(of_kind(router_line, "attempt.submitted")))
        await router_line.cancel(order)
        cancelled: Any = await router_line.until(*ENDS)
        assert (cancelled.type, cancelled.stage) == ("task.cancelled", "router")
        assert cancelled.released_credits_micro == order.reserve_credits_micro
        await router_line.until_true(lambda: router_line.journal.owned() == {})
        # A committed decision is on the bus a moment later.
        submitted_count = len(of_kind(router_line, "attempt.submitted"))
        await router_line.until_true(lambda: len(of_kind(router_line, "attempt.finished")) == submitted_count)
        assert of_kind(router_line, "candidates.generated") == []
        assert_books(router_line)
        assert_allowed(router_line)


async def test_a_cancel_before_the_funds_never_starts_the_task() -> None:
    async with simulator("fal") as api, line({"fal": api}) as router_line:
        order = await router_line.order(k=1, fund=False)
        await router_line.cancel(order)
        await router_line.fund(order)
        state = await router_line.journal.read_state(order.task_id)
        assert state is not None
        assert state.phase is Phase.dismissed
        assert router_line.kinds() == []


async def test_the_deadline_ends_a_stuck_task() -> None:
    async with simulator("fal") as api, line({"fal": api}) as router_line:
        await api.control(stuck_next=50)
        deadline_at = SystemClock().now() + timedelta(seconds=1.5)
        await router_line.order(k=1, deadline_at=deadline_at)
        failed: Any = await router_line.until(*ENDS)
        assert (failed.type, failed.code) == ("task.failed", "deadline_exceeded")
        assert_allowed(router_line)


async def test_the_cost_cap_bounds_the_plan_and_the_spending() -> None:
    async with simulator("fal") as api, line({"fal": api}) as router_line:
        router_line.verdict = lambda _candidate, _count: False
        await router_line.order(k=2, cost_cap_usd_micro=10_000)
        failed: Any = await router_line.until(*ENDS)
        assert (failed.type, failed.code) == ("task.failed", "cost_cap_reached")
        assert sum(len(r.candidates) for r in of_kind(router_line, "round.planned")) == 3
        assert (await api.ledger())["billed_usd_micro"] == 9_000


async def test_a_slow_attempt_is_tried_elsewhere() -> None:
    async with simulator("fal") as fal, simulator("replicate") as replicate:
        await fal.control(latency_s=20)
        quick = CallLimits(poll_interval_s=0.05, slow_least_s=0.3)
        offerings = (
            offering_of("fal", latency_prior_ms=50, limits=quick),
            offering_of("replicate", 8000),
        )
        async with line({"fal": fal, "replicate": replicate}, *offerings) as router_line:
            await router_line.order(k=1)
            selected = await router_line.until(*ENDS)
            assert isinstance(selected, TaskSelected)
            made = {route.offering: route.candidates_count for route in selected.routes}
            assert made["replicate"] >= 1
            await router_line.until_true(lambda: router_line.journal.owned() == {})
            # What a journal has decided reaches the bus a moment later.
            submitted = len(of_kind(router_line, "attempt.submitted"))
            await router_line.until_true(lambda: len(of_kind(router_line, "attempt.finished")) == submitted)


async def test_the_late_result_of_a_slow_attempt_is_used() -> None:
    async with simulator("fal") as fal, simulator("replicate") as replicate:
        await fal.control(latency_s=1.0)
        await replicate.control(latency_s=30)
        quick = CallLimits(poll_interval_s=0.05, slow_least_s=0.3)
        offerings = (
            offering_of("fal", latency_prior_ms=50, limits=quick),
            offering_of("replicate", 8000),
        )
        async with line({"fal": fal, "replicate": replicate}, *offerings) as router_line:
            await router_line.order(k=1)
            selected = await router_line.until(*ENDS)
            assert isinstance(selected, TaskSelected)
            made = {route.offering: route.candidates_count for route in selected.routes}
            assert made["fal"] > 0
            assert made["replicate"] == 0
            # What is still out counts as spent until it is known.
            assert selected.cost.actual_usd_micro == selected.cost.expected_usd_micro


async def test_a_new_owner_polls_what_was_submitted_and_never_submits_it_again() -> None:
    world = RouterWorld()
    async with simulator("fal") as api:
        await api.control(latency_s=1.0)
        async with line({"fal": api}, world=world) as router_line:
            await router_line.order(k=1)
            await router_line.until_true(lambda: _all_have_references(router_line))
        before = await api.ledger()
        async with line({"fal": api}, world=world, epoch="two") as running:
            selected = await running.until(*ENDS)
            assert isinstance(selected, TaskSelected)
            after = await api.ledger()
            assert len(after["lines"]) == len(before["lines"])
            assert {a.outcome for a in of_kind(running, "attempt.finished")} == {OutcomeClass.succeeded}


async def test_a_record_that_names_an_offering_of_an_older_catalogue_still_loads_and_its_task_ends() -> None:
    world = RouterWorld()
    async with simulator("fal") as fal, simulator("replicate") as replicate:
        await fal.control(latency_s=20.0)
        old = offering_of("fal", name="offering-of-last-year")
        async with line({"fal": fal}, old, world=world) as router_line:
            await router_line.order(k=1)
            await router_line.until_true(lambda: _all_have_references(router_line))
        async with line({"replicate": replicate}, world=world, epoch="two") as running:
            selected = await running.until(*ENDS)
            assert isinstance(selected, TaskSelected)
            routes = {route.offering: route for route in selected.routes}
            assert routes["replicate"].passed_count
            left = routes["offering-of-last-year"]
            assert left.actual_cost_usd_micro == left.expected_cost_usd_micro > 0
            lost = [a for a in of_kind(running, "attempt.finished") if a.offering == "offering-of-last-year"]
            assert {(a.outcome, a.reason) for a in lost} == {(OutcomeClass.outcome_unknown, "owner_lost")}


async def test_a_new_owner_counts_an_attempt_without_a_reference_as_spent() -> None:
    world = RouterWorld()
    async with simulator("openai") as api:
        await api.control(latency_s=2.0)
        async with line({"openai": api}, world=world) as router_line:
            await router_line.order(k=1)
            await router_line.until_true(lambda: bool(of_kind(router_line, "attempt.submitted")))
        await api.control(latency_s=0.0)
        async with line({"openai": api}, world=world, epoch="two") as running:
            selected = await running.until(*ENDS)
            assert isinstance(selected, TaskSelected)
            outcomes = [(a.outcome, a.reason) for a in of_kind(running, "attempt.finished")]
            assert (OutcomeClass.outcome_unknown, "owner_lost") in outcomes


async def test_stable_mode_uses_one_offering_only() -> None:
    async with simulator("fal") as fal, simulator("replicate") as replicate:
        modes = {Mode.stable: ModePolicy(pinned=True, offerings=("replicate",))}
        offerings = offering_of("fal"), offering_of("replicate", 8000)
        apis = {"fal": fal, "replicate": replicate}
        async with line(apis, *offerings, recipe=template(modes)) as router_line:
            await router_line.order(k=2, mode=Mode.stable)
            selected = await router_line.until(*ENDS)
            assert isinstance(selected, TaskSelected)
            assert [route.offering for route in selected.routes] == ["replicate"]


async def test_a_price_that_is_not_valid_today_is_not_routable() -> None:
    async with simulator("fal") as api:
        future = offering_of("fal", prices=(Price(3000, date(2100, 1, 1)),))
        async with line({"fal": api}, future) as router_line:
            await router_line.order(k=1)
            failed: Any = await router_line.until(*ENDS)
            assert (failed.type, failed.code) == ("task.failed", "no_offering")


async def test_a_hanging_submit_ends_at_its_own_deadline_as_unknown() -> None:
    async with simulator("fal") as api:
        limits = CallLimits(
            connect_timeout_s=0.2, read_timeout_s=0.3, total_timeout_s=1, poll_interval_s=0.05
        )
        async with line({"fal": api}, offering_of("fal", limits=limits)) as router_line:
            await api.control(hang_next=1)
            await router_line.order(k=1)
            assert isinstance(await router_line.until(*ENDS), TaskSelected)
            assert of_kind(router_line, "attempt.finished")[0].outcome is OutcomeClass.outcome_unknown


async def test_many_tasks_at_once_each_reach_one_end() -> None:
    async with simulator("fal") as api, line({"fal": api}, attempts_max=4) as router_line:
        orders = [await router_line.order(number, k=1) for number in range(1, 9)]
        await router_line.until_true(lambda: len(of_kind(router_line, "task.selected")) == len(orders))
        assert {e.task_id for e in of_kind(router_line, "task.selected")} == {o.task_id for o in orders}
        await asyncio.sleep(0)
        assert router_line.router.pool.in_flight == 0


def _all_have_references(router_line: RouterApp) -> bool:
    runs = list(router_line.journal.owned().values())
    attempts = [a for run in runs for a in run.attempts.values()]
    return bool(attempts) and all(a.reference for a in attempts) and not any(run.pending for run in runs)
