"""One run: the line, its clients and its faults, until everything has ended; the same script gives the same run."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from tests.simulation.broker import Cluster, Record
from tests.simulation.builders import endpoint_row
from tests.simulation.checker import Broken, Checker
from tests.simulation.client import COST_CAP_USD_MICRO, Clients
from tests.simulation.database import Storage
from tests.simulation.final import check_end, pending, told_of_all, views_behind
from tests.simulation.light import is_whole, lightly
from tests.simulation.loop import Spinning
from tests.simulation.lots import Unbalanced
from tests.simulation.outside import Outside
from tests.simulation.replay import check_replay
from tests.simulation.script import SERVICES, TIMED, Fault, Kind, Script
from tests.simulation.services import SimulatedLine
from tests.simulation.world import FAULTS_END_S, SimulatedWorld
from winnow.contracts.ids import Prefix, derive_id

SLACK_S = 45.0
"""After its deadline a task may still be finished, settled and told of."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of a run; ``broken`` names the invariant, ``text`` says what happened.

    Two plays of a script are equal but for ``steps``: a task group cancels its children in the order of their
    addresses, so how often it wakes at a kill is not the script's to say.
    """

    script: Script
    broken: str | None
    text: str
    tasks: int
    records: int
    steps: int = field(compare=False)
    struck: int
    ended_by_error: dict[str, int]
    digest: str


class Run:
    """Wires a script's world and plays it."""

    def __init__(
        self, script: Script, trace: Callable[[str], None] | None = None, *, whole: bool = True
    ) -> None:
        self.script = script
        self.world = SimulatedWorld(script, trace=trace)
        self.checker = Checker(whole=whole)
        self.outside = Outside(self.world)
        self.outside.called = lambda attempt_id: self._guarded(lambda: self.checker.called(attempt_id))
        self.violation: Broken | None = None
        self._finished = False
        self.cluster = Cluster(self.world, self._appended)
        self.line = SimulatedLine(self.world, self.cluster, self.outside)
        self.line.committed = self._committed
        self.clients = Clients(self.line)
        self.world.build = self.line.build

    def play(self) -> Outcome:
        """Play to the end, without log lines."""
        logging = structlog.get_config()
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
        try:
            self.world.loop.run(self._main())
        except Spinning as error:
            self._break(Broken("I9", str(error)))
        finally:
            self._finished = True
            self.world.close()
            structlog.configure(**logging)
        found = self.violation
        return Outcome(
            self.script,
            found.invariant if found else None,
            str(found) if found else "",
            len(self.clients.answered),
            self.checker.records,
            self.world.loop.steps,
            self.world.struck_count,
            dict(self.world.ended_by_error),
            self.checker.digest(),
        )

    async def _main(self) -> None:
        self._endpoints()
        for service in SERVICES:
            for replica in range(self.script.replicas):
                self.world.start(service, replica)
        for fault in self.script.faults:
            if fault.kind in TIMED:
                self.world.loop.call_at(fault.nth / 1000, self._strike, fault)
        self.clients.start()
        while self.violation is None and not self._is_over():
            await asyncio.sleep(0.5)
        if self.violation is None:
            try:
                check_end(self.checker, self.clients.answered, self.outside, COST_CAP_USD_MICRO)
                check_replay(self.line)
                self._check_faults_of_ours()
            except Broken as error:
                self._break(error)

    def _check_faults_of_ours(self) -> None:
        if self.line.meter.crashes:
            raise Broken("I9", f"an attempt crashed: {self.line.meter.crashes[0]}")

    def _is_over(self) -> bool:
        now_s = self.world.loop.time()
        if self.clients.busy or now_s < 2:
            return False
        waits = pending(self.checker, self.clients.answered, self.line.storages)
        waits = waits or views_behind(self.checker, self.line.storages)
        if not waits and told_of_all(self.checker, self.clients.answered, self.outside):
            return True
        if now_s > FAULTS_END_S + SLACK_S + max(self.clients.answered.values(), default=0):
            self._break(
                Broken("I1" if waits else "I6", f"after {now_s:.0f} s: {waits[:3] or 'webhooks not told'}")
            )
        return False

    def _endpoints(self) -> None:
        storage = self.line.storages["delivery"].setdefault("webhook_endpoints", Storage())
        for number in range(len(self.script.grants)):
            account_id = self.clients.account_of(number)
            storage.insert(endpoint_row(account_id, derive_id(Prefix.endpoint, account_id)))

    def _strike(self, fault: Fault) -> None:
        world = self.world
        if world.loop.time() >= FAULTS_END_S:
            return
        world.struck_count += 1
        world.note(f"FAULT {fault}")
        alive = world.alive(fault.place)
        if fault.kind is Kind.kill:
            for process in alive[:1]:
                process.kill(fault.seconds)
        elif fault.kind is Kind.rebalance:
            self.cluster.rebalance(f"winnow-{fault.place}")
        elif fault.kind is Kind.stall:
            for process in alive[:1]:
                process.stalled_until_s = world.loop.time() + fault.seconds
                self.cluster.expel(process)

    def _committed(self, service: str, row: dict[str, object]) -> None:
        if self.world.traced:
            causes = [decision["cause_id"][:40] for decision in row["decisions"]]  # type: ignore[attr-defined]
            self.world.note(f"{service} commits {row['_id']} {causes}")
        self._guarded(lambda: self.checker.block(service, row, everywhere=service.startswith("http_")))

    def _appended(self, record: Record) -> None:
        self._guarded(lambda: self.checker.record(record.topic, record.key.decode(), record.value))

    def _guarded(self, step: Callable[[], None]) -> None:
        if self._finished or self.violation is not None:
            return
        try:
            step()
        except Broken as error:
            self._break(error)
        except Unbalanced as error:
            self._break(Broken("I3", str(error)))

    def _break(self, error: Broken) -> None:
        self.world.note(f"BROKEN {error}")
        self.violation = self.violation or error


def play(script: Script, trace: Callable[[str], None] | None = None, *, whole: bool | None = None) -> Outcome:
    """Play a script, as a whole or a light run; its seed decides which unless the caller does."""
    whole = is_whole(script.seed) if whole is None else whole
    # A run leaves little before its end that only the search for cycles would find.
    collects = gc.isenabled()
    gc.disable()
    try:
        with lightly(whole=whole):
            return Run(script, trace, whole=whole).play()
    finally:
        if collects:
            gc.enable()
