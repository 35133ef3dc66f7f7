"""A run is planned and its attempts are submitted in one block while slots are free; the provider is called after it."""

from __future__ import annotations

from contextlib import AsyncExitStack, nullcontext
from dataclasses import replace

import pytest

from tests.contract.router.fakes import RouterFakes
from tests.contract.router.router_app import SHARDS, RouterApp, running_router
from tests.contract.router.run_checks import ENDS, of_kind
from tests.contract.router.servers import Simulator, simulator
from tests.support.eventually import eventually
from tests.support.fakes.memory_journal import InterruptedStore
from winnow.contracts.events import TaskAccepted, TaskSelected
from winnow.contracts.ids import shard_of
from winnow.contracts.values import OutcomeClass

PLAN_AND_SUBMIT = ["router.run_funded", "round.planned", "attempt.submitted"]


def _blocks(fakes: RouterFakes, order: TaskAccepted) -> list[list[str]]:
    """Return the types of each block that holds something of a task."""
    blocks = fakes.store.chain(str(shard_of(order.task_id, SHARDS)))
    types = [
        [
            entry.type
            for decision in block.decisions
            if decision.aggregate_id == order.task_id
            for entry in decision.entries
        ]
        for block in blocks
    ]
    return [found for found in types if found]


def _dispatches_of(fakes: RouterFakes, epoch: str) -> list[str]:
    blocks = fakes.store.blocks.values()
    causes = [decision.input_id for block in blocks for decision in block.decisions]
    return [cause for cause in causes if cause.startswith("dispatch:") and f":{epoch}:" in cause]


async def _calls(api: Simulator) -> int:
    return len((await api.ledger())["lines"])


async def test_a_lone_order_is_planned_and_submitted_in_one_block_and_called_after_it() -> None:
    fakes = RouterFakes()
    async with simulator("fal") as api:
        store = InterruptedStore(fakes.store)
        async with running_router({"fal": api}, fakes=replace(fakes, store=store)) as app:
            order = await app.order(k=1, fund=False)
            calls: list[int] = []

            async def called() -> None:
                calls.append(await _calls(api))

            store.arm(called)
            await app.fund(order)
            assert isinstance(await app.until(*ENDS), TaskSelected)
            assert app.router.pool.in_flight == 0
        assert calls == [0]
        submitted = of_kind(app, "attempt.submitted")
        assert await _calls(api) == len(submitted)
        blocks = _blocks(fakes, order)
        assert blocks[0] == ["router.run_opened"]
        assert blocks[1][:3] == PLAN_AND_SUBMIT
        assert sum(types.count("attempt.submitted") for types in blocks) == len(submitted)


async def test_without_a_free_slot_a_run_is_planned_alone_and_submitted_in_its_turn() -> None:
    fakes = RouterFakes()
    async with (
        simulator("fal") as api,
        running_router({"fal": api}, fakes=fakes, attempts_max=1) as app,
    ):
        await api.control(latency_s=0.3)
        first, second = await app.order(1, k=1), await app.order(2, k=1)
        await app.until_true(lambda: len(app.messages("task.selected")) == 2)
        assert _blocks(fakes, first)[1][:3] == PLAN_AND_SUBMIT
        assert _blocks(fakes, second)[1] == PLAN_AND_SUBMIT[:2]
        assert app.router.pool.in_flight == 0


async def test_a_retry_is_submitted_in_the_block_of_the_attempt_that_failed() -> None:
    fakes = RouterFakes()
    async with (
        simulator("fal") as fal,
        simulator("replicate") as replicate,
        running_router({"fal": fal, "replicate": replicate}, fakes=fakes) as app,
    ):
        await fal.control(error_next=1)
        await replicate.control(error_next=1)
        order = await app.order(k=1)
        assert isinstance(await app.until(*ENDS), TaskSelected)
        of_attempts = [types for types in _blocks(fakes, order) if "attempt.finished" in types]
        assert of_attempts[0] == ["attempt.finished", "attempt.submitted"]


async def test_a_drained_router_plans_and_submits_nothing() -> None:
    fakes = RouterFakes()
    async with simulator("fal") as api, running_router({"fal": api}, fakes=fakes) as app:
        await app.router.drain(0)
        order = await app.order(k=1)
        assert _blocks(fakes, order)[1] == PLAN_AND_SUBMIT[:2]


async def test_a_fenced_owner_that_had_planned_and_submitted_gives_its_slots_back() -> None:
    """The attempt belongs to the new owner, and the provider is called once for each attempt."""
    fakes = RouterFakes()
    async with simulator("fal") as api, AsyncExitStack() as stack:
        await api.control(latency_s=0.3)
        store = InterruptedStore(fakes.store)
        stale = await stack.enter_async_context(
            running_router({"fal": api}, fakes=replace(fakes, store=store), epoch="stale")
        )
        order = await stale.order(k=1, fund=False)
        taken: list[int] = []
        newer: list[RouterApp] = []

        async def taken_over() -> None:
            taken.append(stale.router.pool.in_flight)
            stale.journal.revoke(str(n) for n in range(SHARDS))
            # The new owner reads the record that the fenced one has in hand.
            fakes.offsets[shard_of(order.task_id, SHARDS)] -= 1
            owner = running_router({"fal": api}, fakes=fakes, epoch="newer")
            newer.append(await stack.enter_async_context(owner))
            await newer[0].fund(order)

        fakes.serial = 1
        store.arm(taken_over)
        await stale.fund(order)
        assert isinstance(await newer[0].until(*ENDS), TaskSelected)
        await eventually(lambda: stale.router.pool.in_flight == 0)
        assert stale.router.dispatcher.waiting_count() == 0
        assert taken[0] > 0
        assert _dispatches_of(fakes, "stale") == []
        assert _dispatches_of(fakes, "newer") != []
        assert _blocks(fakes, order)[1][:3] == PLAN_AND_SUBMIT
        submitted = sum(types.count("attempt.submitted") for types in _blocks(fakes, order))
        assert await _calls(api) == submitted > 0


@pytest.mark.parametrize("fails", [True, False])
async def test_slots_are_free_again_when_an_insert_fails_or_the_shard_is_given_up_meanwhile(
    fails: bool,
) -> None:
    """A block that was committed meanwhile belongs to the next owner: it ends the attempt, and pays once at most."""
    fakes = RouterFakes()
    async with simulator("fal") as api, AsyncExitStack() as stack:
        store = InterruptedStore(fakes.store)
        app = await stack.enter_async_context(
            running_router({"fal": api}, fakes=replace(fakes, store=store), epoch="first")
        )
        order = await app.order(k=1, fund=False)

        async def happens() -> None:
            assert app.router.pool.in_flight > 0
            if not fails:
                app.journal.revoke(str(n) for n in range(SHARDS))

        store.arm(happens, fails=fails)
        with pytest.raises(ConnectionError) if fails else nullcontext():
            await app.fund(order)
        assert app.router.pool.in_flight == 0
        assert _dispatches_of(fakes, "first") == [] if fails else len(_dispatches_of(fakes, "first")) == 1
        owner = await stack.enter_async_context(running_router({"fal": api}, fakes=fakes, epoch="next"))
        if fails:
            fakes.offsets[shard_of(order.task_id, SHARDS)] -= 1
            await owner.fund(order)
        assert isinstance(await owner.until(*ENDS), TaskSelected)
        finished = of_kind(owner, "attempt.finished")
        lost = [event for event in finished if event.reason == "owner_lost"]
        assert {event.outcome for event in lost} == (set() if fails else {OutcomeClass.outcome_unknown})
        assert await _calls(api) == len(finished) - len(lost)
