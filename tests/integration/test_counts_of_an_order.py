"""A lone order's commands, documents, object calls, messages and blocks, counted on the running line.

Every count is exact, so that a new write shows here. Two groups have bounds instead: what the read model writes for a
batch falls together when batches do, and states are saved by the clock, so that a save may fall between two blocks.
A commit that changes a count changes the table, and says why.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Final

from tests.bench.counts import KINDS, Counts, lone_orders
from tests.bench.lean.world import ORDER, lean_profiles, lean_settings
from tests.support.servers.line import RunningLine, running_line

_ORDERS: Final = 3
EXACT: Final[dict[str, dict[str, int]]] = {
    "commands": {
        "delivery find state": 1,
        "delivery find webhook_endpoints": 1,
        "delivery insert journal": 4,
        "delivery insert outputs": 1,
        "delivery insert state": 1,
        "ingest find state_2": 1,
        "ingest find tasks": 1,
        "ingest insert http_journal": 1,
        "ingest insert state_2": 1,
        "ingest insert tasks": 1,
        "ledger find entities_2": 1,
        "ledger find state_2": 2,
        "ledger insert entities_2": 1,
        "ledger insert entries": 2,
        "ledger insert journal": 2,
        "router find state_2": 1,
        "router insert state_2": 1,
    },
    "documents": {
        "delivery insert journal": 4,
        "delivery insert outputs": 1,
        "delivery insert state": 1,
        "ingest insert http_journal": 1,
        "ingest insert state_2": 1,
        "ingest insert tasks": 1,
        "ledger insert entities_2": 1,
        "ledger insert entries": 2,
        "ledger insert journal": 2,
        "router insert state_2": 1,
    },
    "object calls": {
        "delivery get": 1,
        "delivery put": 2,
        "ingest put": 1,
        "router get": 1,
        "router put": 1,
        "scorer get": 1,
    },
    "messages": {
        "delivery winnow.ledger.commands.v1": 1,
        "delivery winnow.tasks.v1": 1,
        "ingest winnow.ledger.commands.v1": 1,
        "ingest winnow.tasks.v1": 1,
        "ledger winnow.accounts.v1": 2,
        "ledger winnow.tasks.v1": 2,
        "router winnow.scorer.commands.v1": 1,
        "router winnow.tasks.v1": 6,
        "scorer winnow.tasks.v1": 1,
    },
    "blocks": {"delivery": 4, "ledger": 2},
    "decisions": {"delivery": 4, "ingest": 3, "ledger": 2, "router": 5},
}
_BLOCKS: Final = {"ingest insert journal": (1, 2), "router insert journal": (3, 4)}
BATCHED: Final[dict[str, dict[str, tuple[int, int]]]] = {
    "commands": _BLOCKS | {"ingest update tasks": (1, 8)},
    "documents": _BLOCKS | {"ingest update tasks": (1, 8)},
    "blocks": {"ingest": (2, 3), "router": (3, 4)},
}
"""Least and most of what follows from how records lie in batches.

The more of an order lies in a batch of the read model, the fewer its writes. Acceptance and funding may come in one batch; they are
two decisions then, in one block. The router submits the attempt in the block of its plan: a decision of its own.
"""
_SAVES: Final = {
    "delivery update folds": (1, 2),
    "ingest update folds": (1, 2),
    "ingest update http_folds": (1, 2),
    "ledger update folds": (1, 2),
    "ledger update state_2": (1, 2),
    "router update folds": (1, 2),
}
SAVED: Final[dict[str, dict[str, tuple[int, int]]]] = {"commands": _SAVES, "documents": _SAVES}
"""Least and most of what follows the clock: a save after the order, or also between its blocks.

A state that is open between its blocks waits for the save after the order, so that no state is stored twice.
"""


def differences(counts: Counts) -> list[str]:
    """Return what differs from the tables, a line each."""
    found = []
    for kind in KINDS:
        bounds = BATCHED.get(kind, {}) | SAVED.get(kind, {})
        exact = EXACT.get(kind, {})
        for name in sorted({*exact, *bounds, *counts[kind]}):
            least, most = bounds.get(name, (exact.get(name, 0),) * 2)
            if not least <= counts[kind][name] <= most:
                wanted = f"{least}" if least == most else f"{least} to {most}"
                found.append(f"{kind}: {name}: {counts[kind][name]} instead of {wanted}")
    return found


def test_a_lone_order_writes_what_the_tables_say_and_no_more() -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings, profiles = lean_settings(Path(folder)), lean_profiles(Path(folder))
        with running_line(profiles=profiles, settings=settings) as line:
            orders = asyncio.run(_orders(line))
    assert [differences(counts) for counts in orders] == [[]] * _ORDERS


async def _orders(line: RunningLine) -> list[Counts]:
    async with line.client() as client:
        # The first order of a line also meets what a start leaves to do.
        await client.end(await client.order(**ORDER))
        return await lone_orders(line, client, ORDER, _ORDERS)
