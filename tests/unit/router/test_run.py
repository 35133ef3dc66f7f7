"""A task run from its order to its selection: plan, score, select."""

from __future__ import annotations

from collections import Counter

from services.router.domain.catalogue import SelectionPolicy
from services.router.domain.decide import due_at
from services.router.domain.messages import Observed, ScoresNoted
from services.router.domain.run import CandidateState, Phase
from tests.unit.router.builders import accepted, funded, market, scored, scored_candidate
from tests.unit.router.run_player import Player, play_all
from winnow.contracts.events import RoundPlanned, TaskFailed, TaskSelected
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.topics import route


def test_a_funded_run_plans_enough_for_k() -> None:
    player = Player(accepted(k=2), market())
    player.start()
    planned = player.of(RoundPlanned)[0]
    assert isinstance(planned, RoundPlanned)
    assert len(planned.candidates) == 6
    assert planned.assumed_pass_rate_ppm == 600_000
    assert due_at(player.run) == player.order.deadline_at


def test_the_same_plan_has_the_same_candidates_and_seeds() -> None:
    plans = []
    for _ in range(2):
        player = Player(accepted(k=2), market())
        player.start()
        plans.append(player.of(RoundPlanned)[0])
    assert plans[0] == plans[1]


def test_best_k_waits_for_the_whole_round_and_first_k_does_not() -> None:
    for policy, early in ((SelectionPolicy.best_k, False), (SelectionPolicy.first_k, True)):
        player = Player(accepted(k=2), market(selection=policy))
        player.start()
        player.dispatch(size=3)
        first, _second = player.out()
        player.give_back(first)
        player.score(player.chunks.pop(), [True, True, False])
        assert (player.run.phase is Phase.selected) is early


def test_near_duplicates_do_not_count_towards_k() -> None:
    player = Player(accepted(k=2), market(rounds_max=1))
    player.start()
    player.dispatch(size=20)
    player.give_back(player.out()[0])
    chunk = player.chunks.pop()
    same = [
        scored_candidate(candidate.candidate_id, passed=True, score=60, perceptual_hash="0" * 16)
        for candidate in chunk.candidates
    ]
    player.submit(scored(player.order, player.on, chunk.chunk_id, same))
    selected = player.of(TaskSelected)[0]
    assert isinstance(selected, TaskSelected)
    assert len(selected.selected) == 1
    assert {candidate.reason for candidate in selected.set_aside} == {"near_duplicate"}


def test_a_selection_carries_the_promise_of_its_order() -> None:
    player = Player(accepted(k=1, deadline_slack_s=77), market(rounds_max=1))
    player.start()
    player.dispatch(size=20)
    player.give_back(player.out()[0])
    chunk = player.chunks.pop()
    good = [scored_candidate(candidate.candidate_id, passed=True, score=60) for candidate in chunk.candidates]
    player.submit(scored(player.order, player.on, chunk.chunk_id, good))
    selected = player.of(TaskSelected)[0]
    assert isinstance(selected, TaskSelected)
    assert (selected.deadline_at, selected.deadline_slack_s) == (player.order.deadline_at, 77)


def test_an_order_of_an_unknown_template_fails_when_funded() -> None:
    order = accepted()
    player = Player(order, market())
    player.submit(Observed(order, player.on, None))
    player.submit(funded(order, player.on))
    failed = player.of(TaskFailed)[0]
    assert isinstance(failed, TaskFailed)
    assert failed.code == "unknown_template"


def test_a_score_for_a_candidate_outside_its_chunk_counts_nothing() -> None:
    player = Player(accepted(k=1), market(pass_rate_prior_ppm=200_000))
    player.start()
    player.dispatch(size=2)
    for attempt_id in player.out()[:2]:
        player.give_back(attempt_id)
    chunk = player.chunks[0]
    inside = {candidate.candidate_id for candidate in chunk.candidates}
    outside = next(candidate for candidate in player.run.candidates if candidate not in inside)
    verdicts = [scored_candidate(candidate_id, passed=False, score=1.0) for candidate_id in sorted(inside)]
    stranger = scored_candidate(outside, passed=True, score=99.0)
    player.submit(scored(player.order, player.on, chunk.chunk_id, [*verdicts, stranger]))
    # What is noted is recorded, and learnt from.
    noted = [event for event in player.of(ScoresNoted) if isinstance(event, ScoresNoted)]
    assert [{candidate.candidate_id for candidate in event.candidates} for event in noted] == [inside]
    assert player.run.passed_count == 0
    assert player.run.candidates[outside].state is not CandidateState.passed
    assert player.of(TaskSelected) == []


def test_a_chunk_that_was_never_sent_counts_nothing() -> None:
    player = Player(accepted(k=1), market())
    player.start()
    player.dispatch()
    player.give_back(player.out()[0])
    named = [
        scored_candidate(candidate.candidate_id, passed=True, score=99.0)
        for candidate in player.chunks[0].candidates
    ]
    forged = derive_id(Prefix.chunk, "of nobody")
    assert player.submit(scored(player.order, player.on, forged, named)) == ()
    assert player.run.passed_count == 0


def test_counts_of_events_stay_near_the_minimum() -> None:
    """N = 240 in calls of 4 needs about 3 + 3·60 events (docs/design.md#messages-of-a-task); what travels is counted."""
    player = Player(
        accepted(k=120, cost_cap_usd_micro=10**9),
        market(candidates_max=240, rounds_max=1),
    )
    player.start()
    play_all(player, passing=True)
    travelling = Counter(message.type for message in player.messages if route(message) is not None)
    calls = travelling["attempt.submitted"]
    assert sum(travelling.values()) <= 3 + 4 * calls
