"""Commits that a lone order waits for, one after another, from its acceptance to its end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.simulation import services
from tests.simulation.builders import CATALOGUE
from tests.simulation.run import Run
from tests.simulation.script import Order, Script

IN_A_ROW = (
    "ingest: task.accepted",
    "ledger: ledger.reserved",
    "router: router.run_funded",
    "router: attempt.finished",
    "router: router.scores_noted",
    "delivery: delivery.selection_noted",
    "delivery: task.delivered",
)


@dataclass
class _Blocks:
    """Blocks of a run, and what each follows from."""

    played: Run
    rows: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    made_in: dict[str, str] = field(default_factory=dict)
    """The block of each message, by its event id and its command id."""
    decided_in: dict[tuple[str, str, int], str] = field(default_factory=dict)
    """The block of each decision, by service, aggregate and number."""
    causes: dict[str, str] = field(default_factory=dict)
    """Causes of what the scorer published: it has no journal."""

    def __post_init__(self) -> None:
        for service, collections in self.played.line.storages.items():
            for name, storage in collections.items():
                if name.endswith("journal"):
                    for row in storage.rows.values():
                        self._read(f"{service}{name.removesuffix('journal')}", row)
        for log in self.played.cluster.logs.values():
            for record in log:
                document = json.loads(record.value)
                if document["producer"] == "scorer":
                    self.causes[document["event_id"]] = document["causation_id"]

    def _read(self, journal: str, row: Mapping[str, Any]) -> None:
        block = f"{journal} {row['_id']}"
        self.rows[block] = row
        for decision in row["decisions"]:
            self.decided_in[journal, decision["aggregate_id"], decision["seq"]] = block
            for entry in decision["entries"]:
                document = json.loads(entry["body"])
                self.made_in[document["event_id"]] = block
                if "command_id" in document:
                    self.made_in[document["command_id"]] = block

    def before(self, block: str) -> Iterator[str]:
        """Yield the blocks that a block waits for: those of its inputs, then of the states that it goes on from."""
        journal = block.partition(" ")[0]
        for decision in self.rows[block]["decisions"]:
            cause = decision["cause_id"]
            yield self.made_in.get(self.causes.get(cause, cause), block)
            yield self.decided_in.get((journal, decision["aggregate_id"], decision["seq"] - 1), block)

    def in_a_row(self, first: str, block: str) -> list[str]:
        """Return the longest row of blocks from the first to this one; nothing when it does not follow from it."""
        if block == first:
            return [block]
        rows = [
            self.in_a_row(first, former) for former in dict.fromkeys(self.before(block)) if former != block
        ]
        longest = max(rows, key=len, default=[])
        return [*longest, block] if longest else []

    def told(self, block: str, task_id: str) -> str:
        """Return the service of a block and what it says first of a task."""
        types = [
            entry["type"]
            for decision in self.rows[block]["decisions"]
            for entry in decision["entries"]
            if json.loads(entry["body"]).get("task_id", task_id) == task_id
        ]
        return f"{block.partition(' ')[0].partition('http')[0]}: {types[0]}"


def test_a_lone_order_waits_for_these_commits_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider answers with its pictures, so that no reference of it is noted meanwhile."""
    direct = replace(CATALOGUE, offerings={"direct": CATALOGUE.offerings["direct"]})
    monkeypatch.setattr(services, "CATALOGUE", direct)
    order = Order(number=0, account=0, k=1, at_s=1, mode="fast", pass_percent=100, deadline_s=600)
    played = Run(Script(1, (order,), (20,), (), refusals_percent=0))
    assert played.play().broken is None
    blocks = _Blocks(played)
    [(task_id, task)] = played.checker.tasks.items()
    accepted, end = (blocks.made_in[event["event_id"]] for event in (task.accepted, task.end) if event)
    assert [blocks.told(block, task_id) for block in blocks.in_a_row(accepted, end)] == list(IN_A_ROW)
