"""The printed table and the kept document of what rows showed."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tests.chaos.run import Outcome

_HEAD = (
    "fault",
    "row of the matrix",
    "tasks",
    "delivered",
    "partly",
    "failed",
    "lost",
    "double charged",
    "wrongly delivered",
    "duplicates",
    "paid twice at a provider",
    "dead letters",
    "seconds to recover",
    "held",
)


def table(outcomes: Sequence[Outcome]) -> str:
    """Lay the outcomes out as a table in Markdown."""
    lines = [_HEAD, ("---",) * len(_HEAD), *(_cells(one) for one in outcomes)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(outcome: Outcome) -> tuple[str, ...]:
    verdict = outcome.verdict
    states = [verdict.states.get(one, 0) for one in ("delivered", "partially_delivered", "failed")]
    counts = [
        verdict.tasks,
        *states,
        verdict.lost,
        verdict.double_charged,
        verdict.wrongly_delivered,
        verdict.duplicates,
        verdict.billed_twice,
        verdict.dead_letters,
    ]
    held = "yes" if outcome.held else "I1–I10 yes; not all delivered" if outcome.is_short else "NO"
    return (outcome.row, outcome.matrix, *map(str, counts), f"{outcome.recover_s:g}", held)


def to_json(outcomes: Sequence[Outcome]) -> str:
    """Give the outcomes as JSON."""
    return json.dumps([one.document() for one in outcomes], indent=1)
