"""The router as a whole: follows the open runs and runs their attempts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from services.router.app.attempts import AttemptRunner
from services.router.app.candidate_store import RunningAttempt
from services.router.app.dispatcher import Dispatcher
from services.router.app.offering_pool import OfferingPool
from services.router.app.ports import Media, Meter, Provider, RunAggregates
from services.router.app.queries import OfferingView, RouterQueries
from services.router.domain.catalogue import Catalogue, Offering
from services.router.domain.decide import is_final
from services.router.domain.health import HealthSignal
from services.router.domain.messages import (
    AttemptReturned,
    Observed,
    ScoresNoted,
    TaskFact,
    Turn,
)
from services.router.domain.run import CandidateState, Phase, Run
from winnow.contracts.envelope import Message, RecordedMessage
from winnow.contracts.events import AttemptFinished, AttemptSubmitted, TaskAccepted
from winnow.contracts.ids import shard_of
from winnow.contracts.values import OutcomeClass
from winnow.eventstore import Block
from winnow.runtime.clock import Clock

_DRAIN_POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of concurrent work. ``epoch`` is unique per process start, so that the inputs of two differ."""

    shards: int
    attempts_max: int
    epoch: str


class Router:
    """Listens to the journal of runs; desired work is a function of their states.

    ``changed``, ``loaded`` and ``unloaded`` return at once; attempts run in tasks of ``run``.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        providers: Mapping[str, Provider],
        media: Media,
        record: RunAggregates,
        clock: Clock,
        meter: Meter,
        limits: Limits,
    ) -> None:
        """Wire the router; ``providers`` is keyed by provider name."""
        self.pool = OfferingPool(catalogue, clock)
        self._catalogue = catalogue
        self._aggregates = record
        self._clock = clock
        self._meter = meter
        self._shards = limits.shards
        self._runs: dict[str, Run] = {}
        self._running: dict[str, RunningAttempt] = {}
        self._starting: list[tuple[RunningAttempt, bool]] = []
        self._start = asyncio.Event()
        self._runner = AttemptRunner(providers, media, record, self.pool, clock)
        self.dispatcher = Dispatcher(
            record,
            self.pool,
            clock,
            attempts_max=limits.attempts_max,
            epoch=limits.epoch,
        )
        self.queries = RouterQueries(catalogue, self.pool, self.dispatcher, self._runs.get, clock)

    # The journal's listener.

    def committed(self, block: Block) -> None:
        """Do nothing: states and events say what to do."""

    def changed(  # the journal's form
        self,
        aggregate_id: str,  # noqa: ARG002
        state: Run,
        recorded: Sequence[RecordedMessage[Message]],
    ) -> None:
        """Start the attempts that were submitted, learn from verdicts, stop what is not wanted."""
        self._track(state)
        for event in recorded:
            message = event.message
            if isinstance(message, AttemptSubmitted):
                self.dispatcher.begun(message)
                self._begin(state, message.attempt_id, is_new=True)
            elif isinstance(message, ScoresNoted):
                self.pool.learn(state, [noted.candidate_id for noted in message.candidates])
            elif isinstance(message, AttemptFinished):
                self._meter.attempt_finished(message)
        if state.phase is not Phase.running:
            self._unwant(state)
        self.dispatcher.wake()

    def loaded(self, shard: str, states: Mapping[str, Run]) -> None:  # noqa: ARG002 (the listener's form)
        """Take over open runs: attempts that are out are polled, or count as unknown."""
        for run in states.values():
            self._track(run)
            verdicts = {CandidateState.passed, CandidateState.rejected}
            self.pool.learn(run, [key for key, judged in run.candidates.items() if judged.state in verdicts])
            for attempt in run.outstanding:
                self._begin(run, attempt.attempt_id, is_new=False)
            if run.phase is not Phase.running:
                self._unwant(run)
        self.dispatcher.wake()

    def unloaded(self, shard: str) -> None:
        """Forget the runs of a lost shard; its attempts run out, and their results are not taken."""
        lost = [run for run in self._runs if str(shard_of(run, self._shards)) == shard]
        for task_id in lost:
            self._runs.pop(task_id, None)
            self.dispatcher.forget(task_id)

    # Turns in the block of a decision.

    def follow_ups(self, states: Mapping[str, Run]) -> Sequence[Turn]:
        """Return the turns that changed runs have at once, before their change is committed.

        The dispatcher has these runs in view for this pass only: what it keeps is committed.
        """
        waiting = [run for run in states.values() if run.pending] if self.dispatcher.has_room else []
        for run in waiting:
            self.dispatcher.track(run)
        turns = self.dispatcher.follow_ups({run.task_id for run in waiting}) if waiting else []
        for run in waiting:
            self.dispatcher.track(self._runs.get(run.task_id, Run(run.task_id)))
        return turns

    def settle(self, turn: Turn) -> None:
        """Take back the slots that no attempt took; a block that was not committed leaves all of them."""
        self.dispatcher.settle(turn)
        self.dispatcher.wake()

    def _track(self, run: Run) -> None:
        if is_final(run):
            self._runs.pop(run.task_id, None)
        else:
            self._runs[run.task_id] = run
        self.dispatcher.track(run)

    def _begin(self, run: Run, attempt_id: str, *, is_new: bool) -> None:
        if attempt_id in self._running:
            return
        attempt = run.attempts[attempt_id]
        offering = self._catalogue.offerings.get(attempt.offering)
        if offering is None:
            # It left the catalogue while the attempt was out: nobody knows how to poll it.
            offering = Offering(attempt.offering, attempt.provider)
            attempt = replace(attempt, reference=None)
        running = RunningAttempt(run, attempt, offering)
        if not is_new:
            self.pool.took_over(offering.name)
        self._running[attempt_id] = running
        self._starting.append((running, is_new))
        self._start.set()

    def _unwant(self, run: Run) -> None:
        for attempt in run.outstanding:
            running = self._running.get(attempt.attempt_id)
            if running is not None:
                running.unwanted.set()

    # Work.

    async def run(self) -> None:
        """Grant turns and run attempts until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.dispatcher.run(), name="dispatcher")
            while True:
                await self._start.wait()
                self._start.clear()
                starting, self._starting = self._starting, []
                for running, is_new in starting:
                    tasks.create_task(self._work(running, is_new=is_new), name="attempt")

    async def drain(self, within_s: float) -> None:
        """Start no more attempts and wait for those that are out, at most ``within_s``.

        What is still out then is polled by the next owner, or counts as unknown.
        """
        self.dispatcher.stop()
        ends_s = self._clock.monotonic_s() + within_s
        while self._running and self._clock.monotonic_s() < ends_s:  # noqa: ASYNC110 (a rare wait)
            await asyncio.sleep(_DRAIN_POLL_S)

    async def _work(self, running: RunningAttempt, *, is_new: bool) -> None:
        attempt_id = running.attempt.attempt_id
        try:
            returned = await self._result(running, is_new=is_new)
            await self._aggregates.submit(running.run, f"returned:{attempt_id}", returned)
        finally:
            self._running.pop(attempt_id, None)
            self.dispatcher.wake()

    async def _result(self, running: RunningAttempt, *, is_new: bool) -> AttemptReturned:
        try:
            return await (self._runner.submit(running) if is_new else self._runner.resume(running))
        except Exception as error:  # noqa: BLE001 (a fault in one attempt must not end the others)
            self._meter.attempt_crashed(running.attempt.attempt_id, error)
            self.pool.ended(running.offering.name, HealthSignal.fault)
            return AttemptReturned(
                attempt_id=running.attempt.attempt_id,
                outcome=OutcomeClass.outcome_unknown,
                reason="internal",
                reference=running.reference,
                actual_cost_usd_micro=None,
                latency_ms=0,
                generated=(),
                failed=(),
                market=self.pool.market(),
            )

    # Facts of the bus.

    def observed(self, recorded: RecordedMessage[Any]) -> Observed:
        """Return the message that an event of the task is to its run."""
        fact: TaskFact = recorded.message
        policy = None
        if isinstance(fact, TaskAccepted):
            template = self._catalogue.template(fact.template.name, fact.template.version)
            policy = template.rounds if template is not None else None
        envelope = recorded.envelope
        return Observed(fact, self.pool.market(), policy, envelope.correlation_id, envelope.traceparent)

    # Operators.

    def drain_offering(self, name: str, *, drained: bool) -> OfferingView:
        """Stop sending new attempts to an offering, or start again; raises NotFound."""
        self.pool.drain(name, drained=drained)
        self.dispatcher.wake()
        return self.queries.offering(name)
