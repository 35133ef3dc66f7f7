"""Exact counts of a running line, read from its services' own metrics: commands, documents, objects, messages, blocks.

The driver's listener counts the commands and the documents (``winnow.adapters.mongo.CallCounter``).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.support.servers.line import Client, RunningLine
from winnow.local.line import SERVICES

_METRICS: Final = {
    "winnow_database_calls_total": ("commands", ("operation", "collection")),
    "winnow_database_documents_total": ("documents", ("operation", "collection")),
    "winnow_object_calls_total": ("object calls", ("operation",)),
    "winnow_bus_sent_total": ("messages", ("topic",)),
    "winnow_journal_blocks_total": ("blocks", ()),
    "winnow_journal_decisions_total": ("decisions", ()),
}
KINDS: Final = tuple(kind for kind, _ in _METRICS.values())
BY_TIME: Final = frozenset({"store_leases", "leases", "redeliveries", "keys", "account_settings"})
"""Collections that are read or written by the clock, not by orders: leases, sweeps, caches of keys."""
QUIET_S: Final = 6.5
"""Longer than the longest time between two saves of states (five seconds), so that all that follows is counted."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts by kind, then by ``"service detail"``: the operation and collection, or the topic."""

    by_kind: Mapping[str, Counter[str]] = field(default_factory=lambda: {kind: Counter() for kind in KINDS})

    def __sub__(self, before: Counts) -> Counts:
        """Return what was added since ``before``."""
        return Counts({kind: _less(self[kind], before[kind]) for kind in KINDS})

    def __getitem__(self, kind: str) -> Counter[str]:
        """Return the counts of a kind."""
        return self.by_kind[kind]

    def of_orders(self) -> Counts:
        """Return the counts without the collections that are touched ``BY_TIME``."""
        return self._where(lambda name: name.rpartition(" ")[2] not in BY_TIME)

    def by_collection(self) -> Counter[str]:
        """Return the documents written, by collection."""
        found: Counter[str] = Counter()
        for name, count in self["documents"].items():
            service, _, collection = name.split(" ")
            found[f"{service} {collection}"] += count
        return found

    def _where(self, keep: Callable[[str], bool]) -> Counts:
        return Counts(
            {
                kind: Counter({name: count for name, count in found.items() if keep(name)})
                for kind, found in self.by_kind.items()
            }
        )


def _less(now: Counter[str], before: Counter[str]) -> Counter[str]:
    return Counter({name: count - before[name] for name, count in now.items() if count != before[name]})


def read_metrics(service: str, text: str) -> Counts:
    """Return the counts that a service's metrics hold."""
    counts = Counts()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in _METRICS:
                kind, labels = _METRICS[sample.name]
                detail = " ".join(sample.labels[label] for label in labels)
                counts[kind][f"{service} {detail}".strip()] += int(sample.value)
    return counts


async def line_counts(line: RunningLine) -> Counts:
    """Read the metrics of the five services."""
    counts = Counts()
    async with httpx.AsyncClient() as http:
        for service in SERVICES:
            answer = await http.get(f"{line.line.ops_url(service)}/metrics")
            for kind, found in read_metrics(service, answer.text).by_kind.items():
                counts[kind].update(found)
    return counts


async def when_quiet(line: RunningLine, within_s: float = 120.0) -> Counts:
    """Return the counts of orders once none has changed for ``QUIET_S``.

    Nothing but the metrics is read meanwhile. Raises TimeoutError when the line does not come to rest.
    """
    deadline_s = time.monotonic() + within_s
    counts = (await line_counts(line)).of_orders()
    since_s = time.monotonic()
    while time.monotonic() - since_s < QUIET_S:
        await asyncio.sleep(0.5)
        now = (await line_counts(line)).of_orders()
        if now != counts:
            counts, since_s = now, time.monotonic()
        if time.monotonic() > deadline_s:
            msg = f"the line was not at rest within {within_s:g} s"
            raise TimeoutError(msg)
    return counts


async def lone_orders(line: RunningLine, client: Client, order: Mapping[str, object], n: int) -> list[Counts]:
    """Place orders one by one, each when the line is at rest; return what each has cost.

    Nobody follows the tasks, so no reader's commands are among them.
    """
    found = []
    before = await when_quiet(line)
    for _ in range(n):
        await client.order(**order)
        after = await when_quiet(line)
        found.append(after - before)
        before = after
    return found
