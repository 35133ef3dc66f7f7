"""Run the soak and write its result to docs/soak.md: ``python -m tests.soak [PART ...]``.

Without an argument every part runs. A part that is not asked for keeps the result of its last run. The exit status
is 1 when a part failed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.soak.parts import PARTS, run_part
from tests.soak.result import commit_of, with_results

PAGE = Path(__file__).resolve().parents[2] / "docs" / "soak.md"


def main() -> int:
    """Run the chosen parts one after another; write each result as soon as it is there."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; without one: all")
    parser.add_argument("--seconds", type=int, default=3600, help="how long the fuzzer runs")
    parser.add_argument("--drawn", type=int, default=2000, help="how many seeds are drawn")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown part: {', '.join(sorted(unknown))}")
    held = True
    for name in options.parts or PARTS:
        result = run_part(name, PARTS[name](options.seconds, options.drawn), commit_of())
        PAGE.write_text(with_results(PAGE.read_text(), [result]))
        held = held and result.held
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
