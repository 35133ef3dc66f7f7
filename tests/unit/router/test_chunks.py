"""Chunks for the scorer: at once when it has time, together when it has not; and how many messages a large order needs."""

from __future__ import annotations

from math import ceil

import pytest

from services.router.domain.chunks import CHUNK_MAX
from services.router.domain.messages import AttemptSlow
from services.router.domain.run import CandidateState, Phase
from tests.unit.router.builders import accepted, market, offering, stored
from tests.unit.router.run_player import Player
from winnow.contracts.commands import ScoreCandidates
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.topics import route
from winnow.contracts.values import OutcomeClass

OTHERS = 8
"""Messages of an order that others write: accepted, two commands to the ledger, funded, two entries, settled, delivered."""


def player_of(k: int, candidates: int) -> Player:
    on = market(
        offering("cheap", pass_prior_ppm={"t": 20_000}), candidates_max=candidates, duplicate_distance=0
    )
    player = Player(accepted(k=k, cost_cap_usd_micro=10**9), on)
    player.start()
    player.dispatch()
    assert len(player.run.candidates) == candidates
    return player


def score_first(player: Player) -> None:
    chunk = player.chunks.pop(0)
    player.score(chunk, [True] * len(chunk.candidates))


def test_a_scorer_with_time_gets_every_call_at_once() -> None:
    player = player_of(6, 24)
    for attempt_id in player.out():
        player.give_back(attempt_id)
        assert [len(chunk.candidates) for chunk in player.chunks] == [4]
        score_first(player)
    assert player.run.phase is Phase.selected


def test_what_comes_while_a_chunk_is_out_goes_together_with_its_verdicts() -> None:
    player = player_of(6, 24)
    first, second, third, *_ = player.out()
    for attempt_id in (first, second, third):
        player.give_back(attempt_id)
    assert [len(chunk.candidates) for chunk in player.chunks] == [4]
    score_first(player)
    assert [len(chunk.candidates) for chunk in player.chunks] == [8]


def test_a_chunk_names_the_order_s_request_and_inputs_and_keeps_its_ids() -> None:
    """The comparison inputs are no part of the ids: a chunk that is decided again is the same chunk."""
    pictures = [stored("inputs/one"), stored("inputs/two")]
    chunks = []
    for order in (accepted(k=1, inputs=pictures), accepted(k=1, request=stored("requests/other.json"))):
        player = Player(order, market(offering("cheap")))
        player.start()
        player.dispatch()
        player.give_back(player.out()[0])
        [chunk] = player.chunks
        assert (chunk.request, chunk.inputs) == (order.request, order.inputs)
        chunks.append(chunk)
    assert chunks[0].chunk_id == chunks[1].chunk_id
    assert chunks[0].command_id == chunks[1].command_id
    assert chunks[0].chunk_id == derive_id(
        Prefix.chunk, *(candidate.candidate_id for candidate in chunks[0].candidates)
    )
    assert chunks[0].command_id == derive_id(Prefix.command, "score", chunks[0].chunk_id)


def test_a_full_chunk_and_the_last_candidates_do_not_wait() -> None:
    player = player_of(60, 240)
    for attempt_id in player.out()[: 1 + CHUNK_MAX // 4]:
        player.give_back(attempt_id)
    assert [len(chunk.candidates) for chunk in player.chunks] == [4, CHUNK_MAX]
    player = player_of(6, 24)
    for attempt_id in player.out():
        player.give_back(attempt_id)
    assert sum(len(chunk.candidates) for chunk in player.chunks) == 24


@pytest.mark.parametrize(("k", "candidates"), [(60, 240), (60, 2400)])
@pytest.mark.parametrize("calls_a_chunk", [5, 8, 60])
def test_messages_of_a_large_order(k: int, candidates: int, calls_a_chunk: int) -> None:
    """Counted with a scorer that takes as long for a chunk as ``calls_a_chunk`` calls take to come back."""
    player = player_of(k, candidates)
    for number, attempt_id in enumerate(player.out(), start=1):
        player.give_back(attempt_id)
        if number % calls_a_chunk == 0 and player.chunks:
            score_first(player)
    while player.chunks:
        score_first(player)
    assert player.run.phase is Phase.selected
    chunks = sum(isinstance(message, ScoreCandidates) for message in player.messages)
    sent = sum(route(message) is not None for message in player.messages)
    least = 3 + 3 * ceil(candidates / 4)
    assert OTHERS + sent + chunks <= 1.2 * least


def test_a_candidate_whose_last_two_calls_both_came_back_without_it_is_given_up() -> None:
    player = Player(accepted(k=1), market(rounds_max=1))
    player.start()
    player.dispatch(size=20)
    slow = player.out()[0]
    player.submit(AttemptSlow(slow))
    player.dispatch(size=20)
    second = next(attempt_id for attempt_id in player.out() if attempt_id != slow)
    # Answered without a picture: nothing to try again, but the slow call may still bring one.
    player.give_back(second, OutcomeClass.succeeded, count=0)
    assert any(candidate.state is CandidateState.in_flight for candidate in player.run.candidates.values())
    player.give_back(slow, OutcomeClass.succeeded, count=0)
    assert player.run.phase is Phase.failed
