"""Cost of an order without pictures: CPU of every process, at rest and under load, and exact counts.

With --against, two builds run in turns, and the ratios of the pairs are the finding: figures of one build drift.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.bench.lean import tables
from tests.bench.lean.against import Builds, Refused, against
from tests.bench.lean.measure import Figures, Measurement, Plan
from tests.bench.lean.options import at_least, rates, seconds
from tests.bench.lean.world import lean_profiles, lean_settings
from tests.bench.report import FOLDER, Report
from tests.support.servers import buses
from tests.support.servers.line import running_line

_PAIRS: int = 5
_SHORT = Plan(orders=500, seconds=20.0, lone=40, counted=1)
"""The plan of a run against a commit, which is one of ten."""


def run(plan: Plan) -> Figures:
    """Measure a line of its own; it has the services' own settings of fetching."""
    started = time.monotonic()

    def note(text: str) -> None:
        print(f"[{time.monotonic() - started:4.0f} s] {text}", file=sys.stderr, flush=True)

    note("the line starts")
    with tempfile.TemporaryDirectory() as folder:
        settings, profiles = lean_settings(Path(folder)), lean_profiles(Path(folder))
        with running_line(profiles=profiles, settings=settings, bus=plan.bus) as line:
            return asyncio.run(Measurement(line, plan, note).run())


def options() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.lean", description=__doc__)
    number = at_least(0)
    parser.add_argument(
        "--orders", type=number, help="orders as fast as it goes (1000; against a commit 500)"
    )
    parser.add_argument("--at-once", type=at_least(1), help="connections of these orders (64)")
    parser.add_argument("--rates", type=rates, help="fixed rates in orders a second (10,25); empty for none")
    parser.add_argument("--seconds", type=seconds, help="length of a fixed rate (30; against a commit 20)")
    parser.add_argument(
        "--lone", type=number, help="lone orders whose times are taken (200; against a commit 40)"
    )
    parser.add_argument("--counted", type=number, help="lone orders that are counted (3; against a commit 1)")
    parser.add_argument("--bus", choices=(buses.TANSU, buses.KAFKA), help="the broker (tansu)")
    parser.add_argument("--against", metavar="COMMIT", help="run this commit and the present one in turns")
    parser.add_argument("--pairs", type=at_least(1), default=_PAIRS, help="how many times (%(default)s)")
    parser.add_argument(
        "--dirty", action="store_true", help="with --against: measure the tree as it is, changes included"
    )
    parser.add_argument("--record", type=Path, help="write the figures to this file and print no table")
    return parser


def main() -> None:
    """Measure a line, or two builds in turns."""
    given = options().parse_args()
    named = ("orders", "at_once", "rates", "seconds", "lone", "counted", "bus")
    chosen = {name: getattr(given, name) for name in named if getattr(given, name) is not None}
    if given.against:
        plan = replace(_SHORT, **chosen)
        try:
            against(Builds(given.against, is_dirty_allowed=given.dirty), plan, given.pairs)
        except Refused as refused:
            sys.exit(f"bench-lean: {refused}")
        except KeyboardInterrupt:
            sys.exit("bench-lean: interrupted, nothing is reported")
        return
    plan = replace(Plan(), **chosen)
    report = Report("lean" if plan.bus == buses.TANSU else f"lean-{plan.bus}")
    try:
        figures = run(plan)
    except KeyboardInterrupt:
        sys.exit("bench-lean: interrupted, nothing is reported")
    tables.note(figures, report)
    if given.record:
        report.write(given.record)
        return
    tables.show(figures, report)
    report.write(FOLDER / f"{report.name}.json")


if __name__ == "__main__":
    main()
