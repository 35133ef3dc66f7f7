"""The printed table and the kept document of what scenarios showed."""

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
    lines = [_HEAD, ("---",) * len(_HEAD), *(_cells(outcome) for outcome in outcomes)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(outcome: Outcome) -> tuple[str, ...]:
    verdict = outcome.verdict
    states = [verdict.states.get(state, 0) for state in ("delivered", "partially_delivered", "failed")]
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
    """Return the outcomes as JSON."""
    return json.dumps([outcome.document() for outcome in outcomes], indent=1)
