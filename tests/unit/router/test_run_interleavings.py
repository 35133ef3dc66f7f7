"""A task run under any order of messages: one end, within the cost cap, and replayable."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from services.router.domain.catalogue import SelectionPolicy
from services.router.domain.decide import is_final
from services.router.domain.evolve import evolve
from services.router.domain.messages import (
    AttemptAccepted,
    AttemptSlow,
)
from services.router.domain.run import Run
from tests.unit.router.builders import (
    accepted,
    cancel_requested,
    funded,
    market,
    opened,
)
from tests.unit.router.run_player import ENDS, Player, play_all
from winnow.contracts.decider import Tick
from winnow.contracts.envelope import Event
from winnow.contracts.states import next_state
from winnow.contracts.topics import route
from winnow.contracts.values import OutcomeClass


@st.composite
def steps(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    kinds = ["dispatch", "take", "slow", "return", "return", "score", "score", "tick", "cancel", "repeat"]
    count = draw(st.integers(0, 60))
    return [
        (draw(st.sampled_from(kinds)), draw(st.integers(0, 50)), draw(st.integers(0, 2**16)))
        for _ in range(count)
    ]


@settings(max_examples=200, deadline=None)
@given(
    steps(),
    st.integers(1, 4),
    st.integers(0, 120_000),
    st.sampled_from(list(SelectionPolicy)),
    st.integers(1, 3),
    st.booleans(),
)
def test_any_run_has_one_end_within_its_cap_and_replays_equal(
    played: list[tuple[str, int, int]],
    k: int,
    cap: int,
    policy: SelectionPolicy,
    rounds_max: int,
    passing: bool,
) -> None:
    on = market(selection=policy, rounds_max=rounds_max)
    player = Player(accepted(k=k, cost_cap_usd_micro=cap), on)
    player.start()
    for kind, which, chance in played:
        _play(player, kind, which, chance)
    play_all(player, passing=passing)
    for attempt_id in player.out():
        player.give_back(attempt_id)
    assert sum(isinstance(message, ENDS) for message in player.messages) == 1
    assert is_final(player.run)
    _assert_allowed(player)
    _assert_replays(player)


def _play(player: Player, kind: str, which: int, chance: int) -> None:
    out = player.out()
    attempt_id = out[which % len(out)] if out else None
    match kind:
        case "dispatch":
            player.dispatch(size=1 + which % 5, price=1000 * (1 + chance % 9))
        case "take" if attempt_id:
            player.submit(AttemptAccepted(attempt_id, f"ref-{which}", {"url": "x"}))
        case "slow" if attempt_id:
            player.submit(AttemptSlow(attempt_id))
        case "return" if attempt_id:
            outcome = list(OutcomeClass)[chance % len(OutcomeClass)]
            free = outcome in {OutcomeClass.never_delivered, OutcomeClass.rejected_without_work}
            player.give_back(attempt_id, outcome, count=chance % 5, cost=0 if free else None)
        case "score" if player.chunks:
            chunk = player.chunks.pop(which % len(player.chunks))
            bits = [bool(chance >> n & 1) for n in range(len(chunk.candidates))]
            player.score(chunk, bits)
            if which % 3 == 0:
                player.score(chunk, bits)
        case "tick":
            player.now += timedelta(seconds=which)
            player.submit(Tick())
        case "cancel" if chance % 8 == 0:
            player.submit(cancel_requested(player.order, player.on))
        case "repeat":
            player.submit(funded(player.order, player.on))
            player.submit(opened(player.order, player.on))
        case _:
            pass


def _assert_allowed(player: Player) -> None:
    state = next_state(next_state(None, "task.accepted"), "task.funded")
    for message in player.messages:
        if isinstance(message, Event) and route(message) is not None:
            after = next_state(state, message.type)
            assert after is not None, (state, message.type)
            state = after


def _assert_replays(player: Player) -> None:
    again = Run(player.order.task_id)
    for event, at in player.folded:
        parsed = type(event).model_validate_json(event.model_dump_json())
        again = evolve(again, parsed, at)
    assert again == player.run
    keeper = TypeAdapter(Run)
    assert keeper.validate_json(keeper.dump_json(player.run)) == player.run
