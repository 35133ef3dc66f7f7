"""Calls that wait for a turn. The next turn is found by a look at few of them, however many wait."""

from __future__ import annotations

import heapq
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import NamedTuple, TypeAlias

from services.router.domain.catalogue import Template
from services.router.domain.fair_order import AGEING_S, TIER_MAX
from services.router.domain.run import Candidate, Run


class CallKind(NamedTuple):
    """Inputs to the choice of an offering: calls of the same kind are served by the same offerings."""

    template: str
    template_version: int
    width: int
    height: int
    mode: str
    tried: frozenset[str]


@dataclass(frozen=True, slots=True)
class Terms:
    """Terms of a kind's calls now: how many candidates share one, and the price of each."""

    size: int
    price_usd_micro: int


TermsOf = Callable[[CallKind], Terms | None]
"""Returns the terms of a kind; None while nothing can serve it."""


@dataclass(frozen=True, slots=True)
class Call:
    """Candidates of one run that could share a call: the same offerings were tried for them."""

    run: Run
    account_id: str
    template: Template
    candidates: tuple[Candidate, ...]
    kind: CallKind
    cost_usd_micro: int

    @property
    def task_id(self) -> str:
        """Name the run."""
        return self.run.task_id


@dataclass(slots=True)
class _Entry:
    run: Run
    account_id: str
    template: Template
    serial: int
    tier: int
    groups: dict[CallKind, tuple[Candidate, ...]] = field(default_factory=dict)


_Line: TypeAlias = OrderedDict[str, _Entry]


class Backlog:
    """Runs with candidates that wait, by tier, account and kind; each line is in the order of arrival.

    A run rises one tier for every ``AGEING_S`` that it waits. No clock: the time is an argument.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._entries: dict[str, _Entry] = {}
        self._tiers: dict[int, dict[str, dict[CallKind, _Line]]] = defaultdict(dict)
        self._rises: list[tuple[datetime, int, str]] = []
        self._lengths: dict[CallKind, Counter[int]] = defaultdict(Counter)
        self._serials = count()

    def put(self, run: Run, template: Template, now: datetime) -> None:
        """Keep a run as it is now; without candidates that wait it leaves."""
        order, pending = run.order, run.pending
        if order is None or not pending:
            self.drop(run.task_id)
            return
        entry = self._entries.get(run.task_id)
        if entry is None:
            entry = _Entry(run, order.account_id, template, next(self._serials), order.priority)
            self._entries[run.task_id] = entry
            self._age(entry, now)
        entry.run = run
        groups: dict[CallKind, list[Candidate]] = defaultdict(list)
        for candidate in pending:
            kind = CallKind(
                template.name,
                template.version,
                order.width,
                order.height,
                order.mode.value,
                frozenset(candidate.tried),
            )
            groups[kind].append(candidate)
        for kind in set(entry.groups) - set(groups):
            self._leave(entry, kind)
        for kind, candidates in groups.items():
            self._count(entry, kind, -1)
            entry.groups[kind] = tuple(candidates)
            self._count(entry, kind, 1)
            self._line(entry, kind)[run.task_id] = entry

    def drop(self, task_id: str) -> None:
        """Forget a run."""
        entry = self._entries.pop(task_id, None)
        if entry is not None:
            for kind in list(entry.groups):
                self._leave(entry, kind)

    def rise(self, now: datetime) -> None:
        """Lift what has waited long enough."""
        while self._rises and self._rises[0][0] <= now:
            _, serial, task_id = heapq.heappop(self._rises)
            entry = self._entries.get(task_id)
            if entry is None or entry.serial != serial:
                continue
            for kind in entry.groups:
                self._unline(entry, kind)
            self._age(entry, now)
            for kind in entry.groups:
                self._line(entry, kind)[task_id] = entry

    def tiers(
        self, terms_of: TermsOf, *, closed: Collection[CallKind] = (), without: Collection[str] = ()
    ) -> Iterator[Mapping[str, Iterator[Call]]]:
        """Yield the calls of each account, tier by tier from the highest.

        Kinds in ``closed`` are passed over, also when they are added meanwhile, and so are the runs ``without``.
        """
        for tier in sorted(self._tiers, reverse=True):
            yield {
                account: self._calls(kinds, terms_of, closed, without)
                for account, kinds in self._tiers[tier].items()
            }

    def count(self, terms_of: TermsOf) -> int:
        """Count the calls that wait."""
        total = 0
        for kind, lengths in self._lengths.items():
            terms = terms_of(kind)
            if terms is not None:
                total += sum(-(-length // terms.size) * runs for length, runs in lengths.items())
        return total

    def __contains__(self, task_id: object) -> bool:
        """Return whether a run waits."""
        return task_id in self._entries

    def _calls(
        self,
        kinds: Mapping[CallKind, _Line],
        terms_of: TermsOf,
        closed: Collection[CallKind],
        without: Collection[str],
    ) -> Iterator[Call]:
        lines = (_arrivals(kind, line, closed) for kind, line in kinds.items())
        for entry, kind in heapq.merge(*lines, key=lambda arrival: arrival[0].serial):
            terms = None if kind in closed else terms_of(kind)
            if terms is not None and entry.run.task_id not in without:
                yield from _split(entry, kind, terms, closed)

    def _age(self, entry: _Entry, now: datetime) -> None:
        order, funded_at = entry.run.order, entry.run.funded_at
        priority = order.priority if order is not None else 0
        rises = max(0, int((now - funded_at).total_seconds() // AGEING_S)) if funded_at is not None else 0
        entry.tier = min(TIER_MAX, priority + rises)
        if funded_at is not None and entry.tier < TIER_MAX:
            due_at = funded_at + timedelta(seconds=AGEING_S * (rises + 1))
            heapq.heappush(self._rises, (due_at, entry.serial, entry.run.task_id))

    def _line(self, entry: _Entry, kind: CallKind) -> _Line:
        kinds = self._tiers[entry.tier].setdefault(entry.account_id, {})
        return kinds.setdefault(kind, OrderedDict())

    def _leave(self, entry: _Entry, kind: CallKind) -> None:
        self._unline(entry, kind)
        self._count(entry, kind, -1)
        del entry.groups[kind]

    def _unline(self, entry: _Entry, kind: CallKind) -> None:
        accounts = self._tiers[entry.tier]
        kinds = accounts[entry.account_id]
        del kinds[kind][entry.run.task_id]
        if not kinds[kind]:
            del kinds[kind]
        if not kinds:
            del accounts[entry.account_id]
        if not accounts:
            del self._tiers[entry.tier]

    def _count(self, entry: _Entry, kind: CallKind, change: int) -> None:
        if kind not in entry.groups:
            return
        lengths = self._lengths[kind]
        lengths[len(entry.groups[kind])] += change
        if not +lengths:
            del self._lengths[kind]


def _arrivals(kind: CallKind, line: _Line, closed: Collection[CallKind]) -> Iterator[tuple[_Entry, CallKind]]:
    for entry in line.values():
        # A kind that nothing can take now may have a hundred thousand more in its line.
        if kind in closed:
            return
        yield entry, kind


def _split(entry: _Entry, kind: CallKind, terms: Terms, closed: Collection[CallKind]) -> Iterator[Call]:
    candidates: Sequence[Candidate] = entry.groups[kind]
    for start in range(0, len(candidates), terms.size):
        if kind in closed:
            return
        shared = tuple(candidates[start : start + terms.size])
        cost = terms.price_usd_micro * len(shared)
        yield Call(entry.run, entry.account_id, entry.template, shared, kind, cost)
