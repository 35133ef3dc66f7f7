"""Dispatcher: picks the waiting candidates that start an attempt now, in fair order, within the limits."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection
from itertools import count
from typing import Final

from services.router.app.offering_pool import OfferingPool
from services.router.app.ports import RunAggregates
from services.router.domain.backlog import Backlog, Call, CallKind, Terms, TermsOf
from services.router.domain.choice import Choice
from services.router.domain.fair_order import FairOrder, position_of
from services.router.domain.health import HealthSignal
from services.router.domain.messages import Batch, DispatchAttempts, Turn
from services.router.domain.planning import affordable_count
from services.router.domain.run import Run
from winnow.contracts.events import AttemptSubmitted, TaskAccepted
from winnow.contracts.values import Mode
from winnow.runtime.clock import Clock

_IDLE_S: Final = 0.5
"""Seconds after which waiting work is looked at again without a sign: Retry-After and breakers end by time."""


class Dispatcher:
    """One pass at a time; a pass reserves slots, then submits to each run the attempts that it may start."""

    def __init__(
        self,
        record: RunAggregates,
        pool: OfferingPool,
        clock: Clock,
        *,
        attempts_max: int,
        epoch: str,
    ) -> None:
        """``attempts_max`` bounds attempts in flight; ``epoch`` makes this process's inputs unique."""
        self._aggregates = record
        self._pool = pool
        self._clock = clock
        self._backlog = Backlog()
        self._attempts_max = attempts_max
        self._epoch = epoch
        self._serial = count()
        self._order = FairOrder()
        self._wake = asyncio.Event()
        self._slots: dict[str, list[Batch]] = {}
        """Calls of the turns under way, by task: each has a slot that no attempt has taken yet."""
        self._granted: list[Turn] = []
        self._is_stopped = False

    def wake(self) -> None:
        """Look for work soon."""
        self._wake.set()

    def stop(self) -> None:
        """Start no more attempts."""
        self._is_stopped = True

    async def run(self) -> None:
        """Grant turns until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                granted, self._granted = self._granted, []
                for turn in granted + self._grant():
                    tasks.create_task(self._dispatch(turn))
                try:
                    async with asyncio.timeout(_IDLE_S):
                        await self._wake.wait()
                except TimeoutError:
                    continue
                finally:
                    self._wake.clear()

    def track(self, run: Run) -> None:
        """Keep a run's waiting candidates in view, as they are now."""
        order = run.order
        template = (
            self._pool.catalogue.template(order.template.name, order.template.version) if order else None
        )
        if template is None:
            self._backlog.drop(run.task_id)
        else:
            self._backlog.put(run, template, self._clock.now())

    def forget(self, task_id: str) -> None:
        """Forget a run."""
        self._backlog.drop(task_id)

    @property
    def has_room(self) -> bool:
        """Return whether another attempt may start."""
        return not self._is_stopped and self._pool.in_flight < self._attempts_max

    def follow_ups(self, task_ids: Collection[str]) -> list[Turn]:
        """Grant turns in fair order and return those of these runs; the others are dispatched as ever."""
        turns = self._grant()
        if others := [turn for turn in turns if turn.run.task_id not in task_ids]:
            self._granted += others
            self.wake()
        return [turn for turn in turns if turn.run.task_id in task_ids]

    def begun(self, submitted: AttemptSubmitted) -> None:
        """Pass the slot of a call on to its attempt."""
        batches = self._slots.get(submitted.task_id, [])
        batches[:] = [b for b in batches if set(b.candidate_ids).isdisjoint(submitted.candidate_ids)]

    def settle(self, turn: Turn) -> None:
        """End a turn, and give the slots back that no attempt took."""
        order = turn.run.known_order
        for batch in self._slots.pop(turn.run.task_id, ()):
            self._pool.ended(batch.offering, HealthSignal.neutral)
            self._pool.release_canary(batch.offering, order.template.name, order.template.version)

    def position(self, task_id: str) -> tuple[int, int]:
        """Return a task's place in the fair order (0: nothing of it waits) and how many calls wait."""
        terms_of = self._terms()
        if task_id not in self._backlog:
            return 0, self._backlog.count(terms_of)
        turns = self._order.copy().turns(self._backlog.tiers(terms_of))
        return position_of(task_id, turns), self._backlog.count(terms_of)

    def waiting_count(self) -> int:
        """Return how many calls wait for a turn."""
        return self._backlog.count(self._terms())

    def _grant(self) -> list[Turn]:
        if not self.has_room:
            return []
        self._backlog.rise(self._clock.now())
        batches: dict[str, list[Batch]] = defaultdict(list)
        runs: dict[str, Run] = {}
        spent: dict[str, int] = defaultdict(int)
        # Nothing becomes free within a pass: what found no offering once need not ask again.
        closed: set[CallKind] = set()
        for call in self._order.turns(self._backlog.tiers(self._terms(), closed=closed, without=self._slots)):
            if self._pool.in_flight >= self._attempts_max:
                self._order.give_back(call)
                break
            batch = self._batch(call, spent[call.task_id], closed)
            if batch is None:
                self._order.give_back(call)
                continue
            spent[call.task_id] += batch.expected_cost_usd_micro
            self._pool.started(batch.offering, call.template)
            runs[call.task_id] = call.run
            batches[call.task_id].append(batch)
        self._slots |= batches
        return [self._turn(runs[task_id], tuple(shared)) for task_id, shared in batches.items()]

    def _turn(self, run: Run, batches: tuple[Batch, ...]) -> Turn:
        input_id = f"dispatch:{run.task_id}:{self._epoch}:{next(self._serial)}"
        return Turn(run, input_id, DispatchAttempts(batches, self._pool.market()))

    def _terms(self) -> TermsOf:
        """Return the terms of each kind as the market snapshot stands, looked up once."""
        market = self._pool.market()
        known: dict[CallKind, Terms | None] = {}

        def terms_of(kind: CallKind) -> Terms | None:
            if kind not in known:
                estimate = market.estimate(
                    kind.template,
                    kind.template_version,
                    Mode(kind.mode),
                    width=kind.width,
                    height=kind.height,
                )
                size = self._pool.catalogue.offerings[estimate.offering].max_n if estimate else 0
                known[kind] = Terms(size, estimate.price_usd_micro) if estimate else None
            return known[kind]

        return terms_of

    def _batch(self, wanted: Call, spent_usd_micro: int, closed: set[CallKind]) -> Batch | None:
        """Choose the offering for a call and cut the call to what it takes and the cap allows."""
        run, order = wanted.run, wanted.run.order
        if order is None:
            return None
        choice = self._choose(wanted, order)
        if choice.offering is None:
            closed.add(wanted.kind)
            return None
        committed_usd_micro = run.committed_usd_micro + spent_usd_micro
        room_usd_micro = order.cost_cap_usd_micro - committed_usd_micro
        if choice.price_usd_micro > room_usd_micro:
            if run.outstanding or spent_usd_micro:
                return None
            if any(alternative.price_usd_micro <= room_usd_micro for alternative in choice.alternatives):
                # What the cap allows may be busy or blocked for now: that is to be waited for, not an end.
                choice = self._choose(wanted, order, price_max_usd_micro=room_usd_micro)
        if choice.offering is None:
            return None
        offering = self._pool.catalogue.offerings[choice.offering]
        affordable = affordable_count(
            choice.price_usd_micro,
            committed_usd_micro=committed_usd_micro,
            cap_usd_micro=order.cost_cap_usd_micro,
        )
        size = max(1, min(offering.max_n, affordable))
        return Batch(
            candidate_ids=tuple(candidate.candidate_id for candidate in wanted.candidates[:size]),
            offering=offering.name,
            provider=offering.provider,
            price_usd_micro=choice.price_usd_micro,
            alternatives=choice.alternatives,
        )

    def _choose(self, wanted: Call, order: TaskAccepted, price_max_usd_micro: int | None = None) -> Choice:
        return self._pool.choose(
            wanted.template,
            order.mode,
            width=order.width,
            height=order.height,
            tried=wanted.kind.tried,
            price_max_usd_micro=price_max_usd_micro,
        )

    async def _dispatch(self, turn: Turn) -> None:
        """Ask the run to submit."""
        recorded = None
        try:
            recorded = await self._aggregates.submit(turn.run, turn.input_id, turn.dispatch)
        finally:
            self.settle(turn)
            if recorded is not None:
                # A run of another owner is answered at once: asking on would spin until it has left.
                self.wake()
