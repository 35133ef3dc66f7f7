"""Plays messages to a task run as the journal does, and checks what must hold after each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.router.domain.decide import decide
from services.router.domain.evolve import evolve
from services.router.domain.market import MarketSnapshot
from services.router.domain.messages import (
    AttemptReturned,
    Batch,
    DispatchAttempts,
    RunMessage,
)
from services.router.domain.run import Phase, Run
from tests.unit.router.builders import (
    NOW,
    funded,
    generated,
    opened,
    scored,
    scored_candidate,
)
from winnow.contracts.commands import BookCostVariance, ReleaseCredits, ScoreCandidates
from winnow.contracts.envelope import Event, Message
from winnow.contracts.events import (
    AttemptSubmitted,
    TaskAccepted,
    TaskCancelled,
    TaskFailed,
    TaskSelected,
)
from winnow.contracts.values import FailedCandidate, OutcomeClass

ENDS = (TaskSelected, TaskFailed, TaskCancelled)
_CHECKED = (*ENDS, ReleaseCredits, BookCostVariance)


class Player:
    """Plays messages to a run as the journal does, and checks what must hold after each."""

    def __init__(self, order: TaskAccepted, on: MarketSnapshot) -> None:
        self.order = order
        self.on = on
        self.run = Run(order.task_id)
        self.messages: list[Message] = []
        self._checked: list[Message] = []
        """Messages of an end or of its cost; a large order has thousands of others."""
        self.folded: list[tuple[Event, datetime]] = []
        self.now = NOW
        self.chunks: list[ScoreCandidates] = []

    def submit(self, message: RunMessage) -> Sequence[Message]:
        decided = decide(self.run, message, self.now)
        for event in decided:
            if isinstance(event, Event):
                self.run = evolve(self.run, event, self.now)
                self.folded.append((event, self.now))
            if isinstance(event, ScoreCandidates):
                self.chunks.append(event)
        self.messages.extend(decided)
        self._checked += [message for message in decided if isinstance(message, _CHECKED)]
        self.check(decided)
        return decided

    def owed_usd_micro(self) -> int:
        """Return what the ledger is told that the task cost: with its end, and by every later correction."""
        reported = sum(
            message.cost.actual_usd_micro
            for message in self._checked
            if isinstance(message, (TaskSelected, ReleaseCredits))
        )
        return reported + sum(
            message.actual_usd_micro - message.booked_usd_micro
            for message in self._checked
            if isinstance(message, BookCostVariance)
        )

    def check(self, decided: Sequence[Message]) -> None:
        if any(isinstance(event, AttemptSubmitted) for event in decided):
            assert self.run.committed_usd_micro <= self.order.cost_cap_usd_micro
        ends = [message for message in self._checked if isinstance(message, ENDS)]
        assert len(ends) <= 1
        released = [message for message in self._checked if isinstance(message, ReleaseCredits)]
        selected = [end for end in ends if isinstance(end, TaskSelected)]
        assert len(released) == len(ends) - len(selected)
        if ends:
            assert self.owed_usd_micro() == self.run.committed_usd_micro
        variances = [message.attempt_id for message in self._checked if isinstance(message, BookCostVariance)]
        assert len(variances) == len(set(variances))

    def start(self) -> None:
        self.submit(opened(self.order, self.on))
        self.submit(funded(self.order, self.on))

    def dispatch(self, size: int = 4, price: int = 3000, offering: str = "cheap") -> None:
        ids = [candidate.candidate_id for candidate in self.run.pending]
        batches = tuple(
            Batch(tuple(ids[n : n + size]), offering, offering, price, ()) for n in range(0, len(ids), size)
        )
        if batches:
            self.submit(DispatchAttempts(batches, self.on))

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
        return self.submit(
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
        self.submit(scored(self.order, self.on, chunk.chunk_id, verdicts))

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
