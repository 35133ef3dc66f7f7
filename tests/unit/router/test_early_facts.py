"""Facts may stand in the record before the acceptance they are about: two partitions and a crash between them."""

from __future__ import annotations

from datetime import timedelta

from services.router.domain.run import Phase, TimePassed
from tests.unit.router.builders import accepted, cancel_requested, funded, market, opened
from tests.unit.router.test_run import Player
from winnow.contracts.commands import ReleaseCredits
from winnow.contracts.events import RoundPlanned, TaskCancelled


def player() -> Player:
    return Player(accepted(), market())


def test_a_task_whose_funding_stands_before_its_acceptance_runs():
    one = player()
    assert one.tell(funded(one.order, one.on))
    decided = one.tell(opened(one.order, one.on))
    assert any(isinstance(message, RoundPlanned) for message in decided)
    assert one.run.phase is Phase.running
    assert one.run.reserved_credits_micro == one.order.reserve_credits_micro


def test_a_second_funding_before_the_acceptance_changes_nothing():
    one = player()
    one.tell(funded(one.order, one.on))
    assert one.tell(funded(one.order, one.on)) == ()


def test_a_cancel_after_an_early_funding_is_the_routers():
    one = player()
    one.tell(funded(one.order, one.on))
    one.tell(cancel_requested(one.order, one.on))
    decided = one.tell(opened(one.order, one.on))
    assert [type(message) for message in decided[-2:]] == [TaskCancelled, ReleaseCredits]
    assert one.run.phase is Phase.cancelled


def test_a_cancel_and_a_funding_before_the_acceptance_are_the_routers():
    """Ingest takes a funded task for the router's, so the router must end it."""
    one = player()
    one.tell(cancel_requested(one.order, one.on))
    one.tell(funded(one.order, one.on))
    one.tell(opened(one.order, one.on))
    assert one.run.phase is Phase.cancelled


def test_a_cancel_before_the_acceptance_without_a_funding_is_ingests():
    one = player()
    one.tell(cancel_requested(one.order, one.on))
    one.tell(cancel_requested(one.order, one.on))
    one.tell(opened(one.order, one.on))
    assert one.run.phase is Phase.dismissed
    assert one.tell(funded(one.order, one.on)) == ()


def test_an_early_funding_past_the_deadline_fails_the_task():
    one = player()
    one.tell(funded(one.order, one.on))
    one.now = one.order.deadline_at + timedelta(seconds=1)
    one.tell(opened(one.order, one.on))
    assert one.run.phase is Phase.failed
    assert one.tell(TimePassed()) == ()
