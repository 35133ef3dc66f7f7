"""Run a command beside busy loops: ``python -m scripts.busy --loops 4 -- winnow demo``. Leaves with its status."""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator

_LOOP = "while True: pass"


@contextlib.contextmanager
def busy_loops(count: int) -> Iterator[list[int]]:
    """Keep that many loops running; yields their process ids and ends them."""
    loops = [subprocess.Popen([sys.executable, "-c", _LOOP]) for _ in range(count)]
    try:
        yield [loop.pid for loop in loops]
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def main() -> int:
    """Run the command and print how long it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loops", type=int, default=4)
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    started_s = time.monotonic()
    with busy_loops(arguments.loops):
        status = subprocess.run(arguments.command, check=False).returncode
    print(
        f"Left with {status} after {time.monotonic() - started_s:.0f} s beside {arguments.loops} busy loops."
    )
    return status


if __name__ == "__main__":
    sys.exit(main())
