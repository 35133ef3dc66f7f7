"""Plays the fault matrix and prints one table: python -m tests.chaos [--bus kafka] [--only PATTERN].

The table and what broke are kept in build/chaos. The exit status is 1 when an invariant did not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from pathlib import Path

from tests.chaos.rows import ROWS, Row
from tests.chaos.run import Outcome, play, table, to_json
from tests.chaos.world import running_world
from tests.support import buses

_OUT = Path("build/chaos")


async def play_all(rows: list[Row], bus: str) -> list[Outcome]:
    """Play rows one after another on one line."""
    outcomes: list[Outcome] = []

    async with running_world(bus) as world:
        for row in rows:
            outcome = await play(world, row)
            outcomes.append(outcome)
            (_OUT / f"{bus}.json").write_text(to_json(outcomes))
            said = "held" if outcome.held else "BROKEN"
            print(f"{said:7} {outcome.seconds:6.1f} s  {row.name}", flush=True)
            for breach in outcome.verdict.broken[:10]:
                print(f"        {breach}", flush=True)
    return outcomes


def main() -> int:
    """Play what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bus", choices=[buses.TANSU, buses.KAFKA], default=buses.TANSU)
    parser.add_argument("--only", default="", help="rows whose name matches this regular expression")
    parser.add_argument("--list", action="store_true", help="name the rows")
    options = parser.parse_args()
    rows = [one for one in ROWS if re.search(options.only, one.name)]
    if options.list:
        print("\n".join(one.name for one in rows))
        return 0
    _OUT.mkdir(parents=True, exist_ok=True)
    outcomes = asyncio.run(play_all(rows, options.bus))
    text = table(outcomes)
    (_OUT / f"{options.bus}.md").write_text(text + "\n")
    print(text)
    return 0 if all(one.held for one in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
