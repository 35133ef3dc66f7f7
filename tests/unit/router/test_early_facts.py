"""Facts may stand in the record before the acceptance they are about: two partitions and a crash between them."""

from __future__ import annotations

from datetime import timedelta

from services.router.domain.run import Phase
from tests.unit.router.builders import accepted, cancel_requested, funded, market, opened
from tests.unit.router.run_player import Player
from winnow.contracts.commands import ReleaseCredits
from winnow.contracts.decider import Tick
from winnow.contracts.events import RoundPlanned, TaskCancelled


def player() -> Player:
    return Player(accepted(), market())


def test_a_task_whose_funding_stands_before_its_acceptance_runs():
    run_player = player()
    assert run_player.submit(funded(run_player.order, run_player.on))
    decided = run_player.submit(opened(run_player.order, run_player.on))
    assert any(isinstance(message, RoundPlanned) for message in decided)
    assert run_player.run.phase is Phase.running
    assert run_player.run.reserved_credits_micro == run_player.order.reserve_credits_micro


def test_a_second_funding_before_the_acceptance_changes_nothing():
    run_player = player()
    run_player.submit(funded(run_player.order, run_player.on))
    assert run_player.submit(funded(run_player.order, run_player.on)) == ()


def test_a_cancel_after_an_early_funding_is_the_routers():
    run_player = player()
    run_player.submit(funded(run_player.order, run_player.on))
    run_player.submit(cancel_requested(run_player.order, run_player.on))
    decided = run_player.submit(opened(run_player.order, run_player.on))
    assert [type(message) for message in decided[-2:]] == [TaskCancelled, ReleaseCredits]
    assert run_player.run.phase is Phase.cancelled


def test_a_cancel_and_a_funding_before_the_acceptance_are_the_routers():
    """Ingest takes a funded task for the router's, so the router must end it."""
    run_player = player()
    run_player.submit(cancel_requested(run_player.order, run_player.on))
    run_player.submit(funded(run_player.order, run_player.on))
    run_player.submit(opened(run_player.order, run_player.on))
    assert run_player.run.phase is Phase.cancelled


def test_a_cancel_before_the_acceptance_without_a_funding_is_ingests():
    run_player = player()
    run_player.submit(cancel_requested(run_player.order, run_player.on))
    run_player.submit(cancel_requested(run_player.order, run_player.on))
    run_player.submit(opened(run_player.order, run_player.on))
    assert run_player.run.phase is Phase.dismissed
    assert run_player.submit(funded(run_player.order, run_player.on)) == ()


def test_an_early_funding_past_the_deadline_fails_the_task():
    run_player = player()
    run_player.submit(funded(run_player.order, run_player.on))
    run_player.now = run_player.order.deadline_at + timedelta(seconds=1)
    run_player.submit(opened(run_player.order, run_player.on))
    assert run_player.run.phase is Phase.failed
    assert run_player.submit(Tick()) == ()
