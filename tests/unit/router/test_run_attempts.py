"""Attempts of a task run: tried again, ended once, and corrected in the bill."""

from __future__ import annotations

import pytest

from services.router.domain.catalogue import SelectionPolicy
from services.router.domain.messages import (
    AttemptAccepted,
    AttemptSlow,
)
from services.router.domain.run import CandidateState, Phase
from tests.unit.router.builders import (
    accepted,
    market,
)
from tests.unit.router.run_player import Player, play_all
from winnow.contracts.commands import BookCostVariance
from winnow.contracts.events import (
    AttemptFinished,
    CandidatesGenerated,
)
from winnow.contracts.values import OutcomeClass


def test_a_retried_class_returns_the_candidates_and_the_others_do_not() -> None:
    for outcome, again in (
        (OutcomeClass.never_delivered, True),
        (OutcomeClass.rejected_without_work, True),
        (OutcomeClass.collectable, True),
        (OutcomeClass.outcome_unknown, False),
    ):
        player = Player(accepted(k=1), market())
        player.start()
        player.dispatch()
        attempt_id = player.out()[0]
        before = player.run.attempts[attempt_id].expected_cost_usd_micro
        player.give_back(attempt_id, outcome)
        finished = player.of(AttemptFinished)[0]
        assert isinstance(finished, AttemptFinished)
        assert finished.will_retry is again
        states = {c.state for c in player.run.candidates.values() if c.round_index == 0}
        assert states == {CandidateState.pending if again else CandidateState.failed}
        assert player.run.committed_usd_micro == before


def test_tries_of_a_candidate_are_bounded() -> None:
    player = Player(accepted(k=1), market(rounds_max=1, tries_max=3))
    player.start()
    for _ in range(3):
        assert player.run.pending
        player.dispatch()
        player.give_back(player.out()[0], OutcomeClass.never_delivered, cost=0)
    assert player.run.phase is Phase.failed
    assert [a.try_number for a in player.run.attempts.values()] == [1, 2, 3]


def test_a_second_result_of_a_candidate_is_dropped() -> None:
    player = Player(accepted(k=1), market())
    player.start()
    player.dispatch()
    slow = player.out()[0]
    player.submit(AttemptSlow(slow))
    player.dispatch(offering="dear")
    quick = player.out()[1]
    player.give_back(quick)
    assert not any(isinstance(event, CandidatesGenerated) for event in player.give_back(slow))
    assert len(player.of(CandidatesGenerated)) == 1


def test_an_attempt_ends_once() -> None:
    player = Player(accepted(k=1), market())
    player.start()
    player.dispatch()
    attempt_id = player.out()[0]
    player.give_back(attempt_id)
    assert player.give_back(attempt_id) == ()
    assert player.submit(AttemptAccepted(attempt_id, "ref", {})) == ()


@pytest.mark.parametrize(("cost", "variance"), [(0, -9000), (11_000, 2000), (None, None), (9000, None)])
def test_the_cost_of_an_attempt_that_is_out_at_selection_is_corrected_once(
    cost: int | None, variance: int | None
) -> None:
    player = Player(accepted(k=2), market(selection=SelectionPolicy.first_k))
    player.start()
    player.dispatch(size=3)
    first, straggler, *_ = player.out()
    player.give_back(first)
    player.score(player.chunks.pop(), [True, True, False])
    assert player.run.phase is Phase.selected
    assert player.of(BookCostVariance) == []
    player.give_back(straggler, cost=cost)
    corrections = [message for message in player.messages if isinstance(message, BookCostVariance)]
    assert [correction.actual_usd_micro - correction.booked_usd_micro for correction in corrections] == (
        [] if variance is None else [variance]
    )
    assert all(
        (correction.attempt_id, correction.task_id, correction.reservation_id)
        == (straggler, player.order.task_id, player.order.reservation_id)
        for correction in corrections
    )
    assert player.give_back(straggler, cost=cost) == ()


def test_the_cost_of_an_attempt_that_returns_in_time_stands_in_the_bill_alone() -> None:
    player = Player(accepted(k=2), market())
    player.start()
    player.dispatch()
    for attempt_id in player.out():
        player.give_back(attempt_id, cost=1)
    play_all(player, passing=True)
    assert player.of(BookCostVariance) == []
