"""Gives turns: which waiting candidates start an attempt now, in fair order, within the limits."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from typing import Final, TypeAlias

from services.router.app.ports import Clock, Record
from services.router.app.supply import Supply
from services.router.domain.catalogue import Template
from services.router.domain.fair_order import FairOrder, Waiting, position_of
from services.router.domain.health import Sign
from services.router.domain.planning import affordable_count
from services.router.domain.run import Batch, Candidate, DispatchAttempts, Run
from winnow.contracts.events import AttemptSubmitted

_IDLE_S: Final = 0.5
"""How often waiting work is looked at again without a sign: Retry-After and breakers end by time."""


_Kind: TypeAlias = tuple[str, int, int, int, str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Candidates of one run that could share a call: the same offerings were tried for them."""

    run: Run
    template: Template
    candidates: tuple[Candidate, ...]
    tried: frozenset[str]

    @property
    def kind(self) -> _Kind:
        """Give what the choice of an offering depends on."""
        order = self.run.order
        size = (order.width, order.height, order.mode.value) if order is not None else (0, 0, "")
        return (self.template.name, self.template.version, *size, self.tried)


class Dispatcher:
    """One pass at a time; a pass reserves slots, then tells the runs which attempts to submit."""

    def __init__(
        self,
        record: Record,
        supply: Supply,
        clock: Clock,
        *,
        waiting_runs: Callable[[], Iterable[Run]],
        attempts_max: int,
        epoch: str,
    ) -> None:
        """``attempts_max`` bounds attempts in flight; ``epoch`` tells this process's causes apart."""
        self._record = record
        self._supply = supply
        self._clock = clock
        self._waiting_runs = waiting_runs
        self._attempts_max = attempts_max
        self._epoch = epoch
        self._serial = count()
        self._order = FairOrder()
        self._wake = asyncio.Event()
        self._told: set[str] = set()
        self._is_stopped = False

    def wake(self) -> None:
        """Look for work soon."""
        self._wake.set()

    def stop(self) -> None:
        """Start no more attempts."""
        self._is_stopped = True

    async def run(self) -> None:
        """Give turns until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                for run, batches in self._turns():
                    self._told.add(run.task_id)
                    tasks.create_task(self._tell(run, batches))
                try:
                    async with asyncio.timeout(_IDLE_S):
                        await self._wake.wait()
                except TimeoutError:
                    continue
                finally:
                    self._wake.clear()

    def position(self, task_id: str) -> tuple[int, int]:
        """Give a task's place in the fair order (0: nothing of it waits) and how many wait."""
        waiting = [one for one, _ in self._waiting()]
        return position_of(task_id, waiting, self._order), len(waiting)

    def waiting_count(self) -> int:
        """Give how many calls wait for a turn."""
        return len(self._waiting())

    def _turns(self) -> list[tuple[Run, list[tuple[Batch, Template]]]]:
        if self._is_stopped or self._supply.in_flight >= self._attempts_max:
            return []
        waiting = self._waiting()
        if not waiting:
            return []
        wanted = {one.tag: calls for one, calls in waiting}
        turns: dict[str, list[tuple[Batch, Template]]] = defaultdict(list)
        runs: dict[str, Run] = {}
        spent: dict[str, int] = defaultdict(int)
        # Nothing becomes free within a pass: what found no offering once need not ask again.
        closed: set[_Kind] = set()
        for one in self._order.take([pair[0] for pair in waiting]):
            if self._supply.in_flight >= self._attempts_max:
                self._order.give_back(one)
                break
            calls = wanted[one.tag]
            batch = None
            if calls.kind not in closed:
                batch = self._batch(calls, spent[one.task_id], closed)
            if batch is None:
                self._order.give_back(one)
                continue
            spent[one.task_id] += batch.expected_cost_usd_micro
            self._supply.started(batch.offering, calls.template)
            runs[one.task_id] = calls.run
            turns[one.task_id].append((batch, calls.template))
        return [(runs[task_id], batches) for task_id, batches in turns.items()]

    def _batch(self, wanted: _Wanted, spent_usd_micro: int, closed: set[_Kind]) -> Batch | None:
        """Choose the offering for a call and cut the call to what it takes and the cap allows."""
        run, order = wanted.run, wanted.run.order
        if order is None:
            return None
        choice = self._supply.choose(
            wanted.template, order.mode, width=order.width, height=order.height, tried=wanted.tried
        )
        if choice.offering is None:
            closed.add(wanted.kind)
            return None
        offering = self._supply.catalogue.offerings[choice.offering]
        affordable = affordable_count(
            choice.price_usd_micro,
            committed_usd_micro=run.committed_usd_micro + spent_usd_micro,
            cap_usd_micro=order.cost_cap_usd_micro,
        )
        if affordable < 1 and (run.outstanding or spent_usd_micro):
            return None
        size = max(1, min(offering.max_n, affordable))
        return Batch(
            candidate_ids=tuple(one.candidate_id for one in wanted.candidates[:size]),
            offering=offering.name,
            provider=offering.provider,
            price_usd_micro=choice.price_usd_micro,
            alternatives=choice.alternatives,
        )

    def _waiting(self) -> list[tuple[Waiting, _Wanted]]:
        now = self._clock.now()
        waiting: list[tuple[Waiting, _Wanted]] = []
        market = self._supply.market()
        for run in self._waiting_runs():
            order = run.order
            if order is None or run.task_id in self._told:
                continue
            pending = run.pending
            template = self._supply.catalogue.template(order.template.name, order.template.version)
            if not pending or template is None:
                continue
            outlook = market.outlook(
                template.name, template.version, order.mode, width=order.width, height=order.height
            )
            if outlook is None:
                continue
            size = self._supply.catalogue.offerings[outlook.offering].max_n
            waited_s = (now - run.funded_at).total_seconds() if run.funded_at else 0.0
            for calls in _calls(run, template, pending, size):
                one = Waiting(
                    task_id=run.task_id,
                    account_id=order.account_id,
                    priority=order.priority,
                    cost_usd_micro=outlook.price_usd_micro * len(calls.candidates),
                    waited_s=waited_s,
                    tag=len(waiting),
                )
                waiting.append((one, calls))
        return waiting

    async def _tell(self, run: Run, batches: list[tuple[Batch, Template]]) -> None:
        """Ask the run to submit; slots of batches that it did not submit are given back."""
        started: set[str] = set()
        try:
            cause_id = f"dispatch:{run.task_id}:{self._epoch}:{next(self._serial)}"
            message = DispatchAttempts(tuple(one for one, _ in batches), self._supply.market())
            recorded = await self._record.tell(run, cause_id, message)
            started = {
                candidate_id
                for one in recorded or ()
                if isinstance(one.message, AttemptSubmitted)
                for candidate_id in one.message.candidate_ids
            }
        finally:
            self._told.discard(run.task_id)
            for batch, template in batches:
                if started.isdisjoint(batch.candidate_ids):
                    self._supply.ended(batch.offering, Sign.neutral)
                    self._supply.release_canary(batch.offering, template.name, template.version)
            self.wake()


def _calls(run: Run, template: Template, pending: Iterable[Candidate], size: int) -> Iterable[_Wanted]:
    alike: dict[frozenset[str], list[Candidate]] = defaultdict(list)
    for candidate in pending:
        alike[frozenset(candidate.tried)].append(candidate)
    for tried, candidates in alike.items():
        for start in range(0, len(candidates), size):
            yield _Wanted(run, template, tuple(candidates[start : start + size]), tried)
