"""A task run as a whole: whatever happens in whatever order, one end, within the cap, and replayable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from services.router.domain.catalogue import SelectionPolicy
from services.router.domain.decide import decide, due_at, is_final
from services.router.domain.evolve import evolve
from services.router.domain.market import MarketSnapshot
from services.router.domain.run import (
    AttemptAccepted,
    AttemptReturned,
    AttemptSlow,
    Batch,
    CandidateState,
    DispatchAttempts,
    Phase,
    Run,
    RunMessage,
    ScoresNoted,
)
from tests.unit.router.builders import (
    NOW,
    accepted,
    cancel_requested,
    funded,
    generated,
    market,
    opened,
    scored,
    scored_candidate,
)
from winnow.contracts.commands import BookCostVariance, ReleaseCredits, ScoreCandidates
from winnow.contracts.decider import Tick
from winnow.contracts.envelope import Event, Message
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import (
    AttemptFinished,
    AttemptSubmitted,
    CandidatesGenerated,
    RoundPlanned,
    TaskAccepted,
    TaskCancelled,
    TaskFailed,
    TaskSelected,
)
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.states import next_state
from winnow.contracts.topics import route
from winnow.contracts.values import FailedCandidate, OutcomeClass

ENDS = (TaskSelected, TaskFailed, TaskCancelled)


class Player:
    """Plays messages to a run as the journal does, and checks what must hold after each."""

    def __init__(self, order: TaskAccepted, on: MarketSnapshot) -> None:
        self.order = order
        self.on = on
        self.run = Run(order.task_id)
        self.messages: list[Message] = []
        self.folded: list[tuple[Event, datetime]] = []
        self.now = NOW
        self.chunks: list[ScoreCandidates] = []

    def tell(self, message: RunMessage) -> Sequence[Message]:
        decided = decide(self.run, message, self.now)
        for event in decided:
            if isinstance(event, Event):
                self.run = evolve(self.run, event, self.now)
                self.folded.append((event, self.now))
            if isinstance(event, ScoreCandidates):
                self.chunks.append(event)
        self.messages.extend(decided)
        self.check(decided)
        return decided

    def owed_usd_micro(self) -> int:
        """Return what the ledger is told that the task cost: with its end, and by every later correction."""
        reported = sum(
            message.cost.actual_usd_micro
            for message in self.messages
            if isinstance(message, (TaskSelected, ReleaseCredits))
        )
        return reported + sum(
            message.actual_usd_micro - message.booked_usd_micro
            for message in self.messages
            if isinstance(message, BookCostVariance)
        )

    def check(self, decided: Sequence[Message]) -> None:
        if any(isinstance(event, AttemptSubmitted) for event in decided):
            assert self.run.committed_usd_micro <= self.order.cost_cap_usd_micro
        ends = [message for message in self.messages if isinstance(message, ENDS)]
        assert len(ends) <= 1
        released = [message for message in self.messages if isinstance(message, ReleaseCredits)]
        selected = [end for end in ends if isinstance(end, TaskSelected)]
        assert len(released) == len(ends) - len(selected)
        if ends:
            assert self.owed_usd_micro() == self.run.committed_usd_micro
        variances = [message.attempt_id for message in self.messages if isinstance(message, BookCostVariance)]
        assert len(variances) == len(set(variances))

    def start(self) -> None:
        self.tell(opened(self.order, self.on))
        self.tell(funded(self.order, self.on))

    def dispatch(self, size: int = 4, price: int = 3000, offering: str = "cheap") -> None:
        ids = [candidate.candidate_id for candidate in self.run.pending]
        batches = tuple(
            Batch(tuple(ids[n : n + size]), offering, offering, price, ()) for n in range(0, len(ids), size)
        )
        if batches:
            self.tell(DispatchAttempts(batches, self.on))

    def give_back(
        self,
        attempt_id: str,
        outcome: OutcomeClass = OutcomeClass.succeeded,
        *,
        count: int | None = None,
        cost: int | None = None,
    ) -> Sequence[Message]:
        attempt = self.run.attempts[attempt_id]
        brought = attempt.candidate_ids[:count] if outcome is OutcomeClass.succeeded else ()
        missing = attempt.candidate_ids[len(brought) :]
        return self.tell(
            AttemptReturned(
                attempt_id=attempt_id,
                outcome=outcome,
                reason=None,
                reference="ref",
                actual_cost_usd_micro=cost,
                latency_ms=100,
                generated=tuple(generated(candidate_id) for candidate_id in brought),
                failed=tuple(
                    FailedCandidate(candidate_id=candidate_id, reason="image_missing")
                    for candidate_id in missing
                ),
                market=self.on,
            )
        )

    def score(self, chunk: ScoreCandidates, passing: Sequence[bool]) -> None:
        verdicts = [
            scored_candidate(
                candidate.candidate_id,
                passed=passed,
                score=50.0 + n,
                perceptual_hash=candidate.candidate_id.removeprefix("cand_").replace("-", "")[:16],
            )
            for n, (candidate, passed) in enumerate(zip(chunk.candidates, passing, strict=True))
        ]
        self.tell(scored(self.order, self.on, chunk.chunk_id, verdicts))

    def out(self) -> list[str]:
        return [attempt.attempt_id for attempt in self.run.outstanding]

    def of(self, kind: type[Message]) -> list[Message]:
        return [message for message in self.messages if isinstance(message, kind)]


def play_all(player: Player, *, passing: bool) -> None:
    """Play on with everything succeeding until the run has ended."""
    for _ in range(200):
        if player.run.phase is not Phase.running:
            return
        player.dispatch()
        for attempt_id in player.out():
            player.give_back(attempt_id)
        while player.chunks:
            chunk = player.chunks.pop(0)
            player.score(chunk, [passing] * len(chunk.candidates))
    raise AssertionError(player.run)


# Stories.


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
    player.tell(scored(player.order, player.on, chunk.chunk_id, same))
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
    player.tell(scored(player.order, player.on, chunk.chunk_id, good))
    selected = player.of(TaskSelected)[0]
    assert isinstance(selected, TaskSelected)
    assert (selected.deadline_at, selected.deadline_slack_s) == (player.order.deadline_at, 77)


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
    player.tell(AttemptSlow(slow))
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
    assert player.tell(AttemptAccepted(attempt_id, "ref", {})) == ()


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


def test_an_order_of_an_unknown_template_fails_when_funded() -> None:
    order = accepted()
    player = Player(order, market())
    from services.router.domain.run import Observed

    player.tell(Observed(order, player.on, None))
    player.tell(funded(order, player.on))
    failed = player.of(TaskFailed)[0]
    assert isinstance(failed, TaskFailed)
    assert failed.code == "unknown_template"


def test_a_cancel_before_funding_dismisses_and_after_selection_changes_nothing() -> None:
    early = Player(accepted(k=1), market())
    early.tell(opened(early.order, early.on))
    early.tell(cancel_requested(early.order, early.on))
    assert early.tell(funded(early.order, early.on)) == ()
    assert is_final(early.run)
    late = Player(accepted(k=1), market())
    late.start()
    play_all(late, passing=True)
    assert late.tell(cancel_requested(late.order, late.on)) == ()


def test_the_deadline_delivers_what_has_passed() -> None:
    player = Player(accepted(k=2), market())
    player.start()
    player.dispatch(size=3)
    player.give_back(player.out()[0])
    player.score(player.chunks.pop(), [True, False, False])
    player.now = player.order.deadline_at
    player.tell(Tick())
    selected = player.of(TaskSelected)[0]
    assert isinstance(selected, TaskSelected)
    assert (len(selected.selected), selected.reason) == (1, "deadline_exceeded")
    assert not is_final(player.run)
    player.give_back(player.out()[0])
    assert is_final(player.run)


def test_a_tick_before_the_deadline_changes_nothing() -> None:
    player = Player(accepted(k=1), market())
    player.start()
    assert player.tell(Tick()) == ()


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
    player.tell(scored(player.order, player.on, chunk.chunk_id, [*verdicts, stranger]))
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
    assert player.tell(scored(player.order, player.on, forged, named)) == ()
    assert player.run.passed_count == 0


# Any interleaving.


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
            player.tell(AttemptAccepted(attempt_id, f"ref-{which}", {"url": "x"}))
        case "slow" if attempt_id:
            player.tell(AttemptSlow(attempt_id))
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
            player.tell(Tick())
        case "cancel" if chance % 8 == 0:
            player.tell(cancel_requested(player.order, player.on))
        case "repeat":
            player.tell(funded(player.order, player.on))
            player.tell(opened(player.order, player.on))
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
