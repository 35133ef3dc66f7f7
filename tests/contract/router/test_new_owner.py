"""A router that takes over the runs of another: attempts are polled, and never submitted again."""

from __future__ import annotations

from tests.contract.router.builders import offering_of
from tests.contract.router.fakes import RouterFakes
from tests.contract.router.router_app import RouterApp, running_router
from tests.contract.router.run_checks import ENDS, of_kind
from tests.contract.router.servers import simulator
from winnow.contracts.events import TaskSelected
from winnow.contracts.values import OutcomeClass


async def test_a_new_owner_polls_what_was_submitted_and_never_submits_it_again() -> None:
    fakes = RouterFakes()
    async with simulator("fal") as api:
        await api.control(latency_s=1.0)
        async with running_router({"fal": api}, fakes=fakes) as app:
            await app.order(k=1)
            await app.until_true(lambda: _all_have_references(app))
        before = await api.ledger()
        async with running_router({"fal": api}, fakes=fakes, epoch="two") as running:
            selected = await running.until(*ENDS)
            assert isinstance(selected, TaskSelected)
            after = await api.ledger()
            assert len(after["lines"]) == len(before["lines"])
            assert {a.outcome for a in of_kind(running, "attempt.finished")} == {OutcomeClass.succeeded}


async def test_a_record_that_names_an_offering_of_an_older_catalogue_still_loads_and_its_task_ends() -> None:
    fakes = RouterFakes()
    async with simulator("fal") as fal, simulator("replicate") as replicate:
        await fal.control(latency_s=20.0)
        old = offering_of("fal", name="offering-of-last-year")
        async with running_router({"fal": fal}, old, fakes=fakes) as app:
            await app.order(k=1)
            await app.until_true(lambda: _all_have_references(app))
        async with running_router({"replicate": replicate}, fakes=fakes, epoch="two") as running:
            selected = await running.until(*ENDS)
            assert isinstance(selected, TaskSelected)
            routes = {route.offering: route for route in selected.routes}
            assert routes["replicate"].passed_count
            left = routes["offering-of-last-year"]
            assert left.actual_cost_usd_micro == left.expected_cost_usd_micro > 0
            lost = [a for a in of_kind(running, "attempt.finished") if a.offering == "offering-of-last-year"]
            assert {(a.outcome, a.reason) for a in lost} == {(OutcomeClass.outcome_unknown, "owner_lost")}


async def test_a_new_owner_counts_an_attempt_without_a_reference_as_spent() -> None:
    fakes = RouterFakes()
    async with simulator("openai") as api:
        await api.control(latency_s=2.0)
        async with running_router({"openai": api}, fakes=fakes) as app:
            await app.order(k=1)
            await app.until_true(lambda: bool(of_kind(app, "attempt.submitted")))
        await api.control(latency_s=0.0)
        async with running_router({"openai": api}, fakes=fakes, epoch="two") as running:
            selected = await running.until(*ENDS)
            assert isinstance(selected, TaskSelected)
            outcomes = [(a.outcome, a.reason) for a in of_kind(running, "attempt.finished")]
            assert (OutcomeClass.outcome_unknown, "owner_lost") in outcomes


def _all_have_references(app: RouterApp) -> bool:
    runs = list(app.journal.owned().values())
    attempts = [a for run in runs for a in run.attempts.values()]
    return bool(attempts) and all(a.reference for a in attempts) and not any(run.pending for run in runs)
