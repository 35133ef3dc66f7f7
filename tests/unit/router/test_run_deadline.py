"""The deadline of a run, and cancels: what has passed is delivered, nothing more is bought."""

from __future__ import annotations

from datetime import timedelta

from services.router.domain.decide import is_final
from tests.unit.router.builders import accepted, cancel_requested, funded, market, opened
from tests.unit.router.run_player import Player, play_all
from winnow.contracts.decider import Tick
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import AttemptSubmitted, TaskFailed, TaskSelected


def test_a_cancel_before_funding_dismisses_and_after_selection_changes_nothing() -> None:
    early = Player(accepted(k=1), market())
    early.submit(opened(early.order, early.on))
    early.submit(cancel_requested(early.order, early.on))
    assert early.submit(funded(early.order, early.on)) == ()
    assert is_final(early.run)
    late = Player(accepted(k=1), market())
    late.start()
    play_all(late, passing=True)
    assert late.submit(cancel_requested(late.order, late.on)) == ()


def test_the_deadline_delivers_what_has_passed() -> None:
    player = Player(accepted(k=2), market())
    player.start()
    player.dispatch(size=3)
    player.give_back(player.out()[0])
    player.score(player.chunks.pop(), [True, False, False])
    player.now = player.order.deadline_at
    player.submit(Tick())
    selected = player.of(TaskSelected)[0]
    assert isinstance(selected, TaskSelected)
    assert (len(selected.selected), selected.reason) == (1, "deadline_exceeded")
    assert not is_final(player.run)
    player.give_back(player.out()[0])
    assert is_final(player.run)


def test_a_tick_before_the_deadline_changes_nothing() -> None:
    player = Player(accepted(k=1), market())
    player.start()
    assert player.submit(Tick()) == ()


def test_nothing_is_bought_from_the_deadline_on() -> None:
    player = Player(accepted(k=2), market())
    player.start()
    player.now = player.order.deadline_at
    player.dispatch()
    assert player.of(AttemptSubmitted) == []
    ends = player.of(TaskFailed)
    assert [end.code for end in ends if isinstance(end, TaskFailed)] == [ErrorCode.deadline_exceeded]


def test_a_moment_before_the_deadline_is_still_in_time() -> None:
    player = Player(accepted(k=2), market())
    player.start()
    player.now = player.order.deadline_at - timedelta(microseconds=1)
    player.dispatch()
    assert player.of(AttemptSubmitted)
