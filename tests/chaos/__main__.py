"""Plays the fault matrix and prints one table: python -m tests.chaos [--bus kafka] [--only PATTERN].

The table and what broke are kept in build/chaos. The exit status is 1 when an invariant did not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.run import Outcome, play, unplayed
from tests.chaos.scenario import Scenario
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.table import table, to_json
from tests.chaos.world import running_world
from tests.support.servers import buses

_OUT = Path("build/chaos")


def worlds_of(rows: list[Scenario], bus: str) -> Iterator[tuple[bool, list[Scenario]]]:
    """Sort scenarios by the bus that they need: on Tansu first those for which topics in memory do; Kafka keeps them."""
    if bus == buses.KAFKA:
        yield True, list(rows)
        return
    for keeps_topics in (False, True):
        if wanted := [row for row in rows if row.needs_kept_topics is keeps_topics]:
            yield keeps_topics, wanted


async def play_all(rows: list[Scenario], bus: str) -> list[Outcome]:
    """Play scenarios one after another on one line; after a scenario that broke something the next begins on a new line."""
    outcomes: list[Outcome] = []
    for keeps_topics, left in worlds_of(rows, bus):
        while left:
            async with running_world(bus, keeps_topics=keeps_topics) as world:
                while left:
                    row = left.pop(0)
                    try:
                        outcome = await play(world, row)
                    except Exception as error:
                        outcome = unplayed(row, error)
                    outcomes.append(outcome)
                    _tell(outcome)
                    (_OUT / f"{bus}.json").write_text(to_json(outcomes))
                    (_OUT / f"{bus}.md").write_text(table(outcomes) + "\n")
                    if not outcome.held:
                        break
    return outcomes


def _tell(outcome: Outcome) -> None:
    said = "held" if outcome.held else "BROKEN"
    print(f"{said:7} {outcome.seconds:6.1f} s  {outcome.row}", flush=True)
    for breach in outcome.verdict.broken[:10]:
        print(f"        {breach}", flush=True)
    if outcome.held and outcome.reasons:
        print(f"        {outcome.verdict.states}: {outcome.reasons}", flush=True)


def main() -> int:
    """Play what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bus", choices=[buses.TANSU, buses.KAFKA], default=buses.TANSU)
    parser.add_argument("--only", default="", help="rows whose name matches this regular expression")
    parser.add_argument("--list", action="store_true", help="name the rows")
    options = parser.parse_args()
    rows = [
        row for row in SCENARIOS if re.search(options.only, row.name) and row.only_on in {"", options.bus}
    ]
    if options.list:
        print("\n".join(row.name for row in rows))
        return 0
    _OUT.mkdir(parents=True, exist_ok=True)
    outcomes = asyncio.run(play_all(rows, options.bus))
    print(table(outcomes))
    return 0 if all(outcome.held for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
