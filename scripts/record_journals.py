"""Record the journals of a build, so that every later build proves that it still reads them.

A running line with embedded servers takes orders of every end. The blocks that its services leave are written as text,
a block on each line, with the states that they fold to. Run it once for each release, on the commit that is released.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
from pathlib import Path

from scripts.journals import JOURNALS_FOLDER, ROOT, write_states
from winnow.contracts.journals import JOURNALS
from winnow.eventstore.model import canonical


def _write_blocks(uri: str, folder: Path) -> None:
    client = importlib.import_module("pymongo").MongoClient(uri)
    try:
        for producer, place in JOURNALS.items():
            rows = client[place.database][f"{place.prefix}journal"].find(sort=[("shard", 1), ("block_no", 1)])
            lines = [canonical(row).decode() for row in rows]
            (folder / f"{producer}.ndjson").write_text("".join(f"{line}\n" for line in lines))
    finally:
        client.close()


def record(folder: Path) -> None:
    """Run a line, place the orders, and write what its services recorded."""
    lines = importlib.import_module("tests.support.servers.line")
    orders = importlib.import_module("tests.support.every_end")
    settings = {"delivery": {"WEBHOOK_SCHEDULE_S": "[0, 1, 1, 2, 2]"}, "scorer": {"PROCESSES": "1"}}
    with lines.running_line(settings=settings) as line:
        asyncio.run(orders.every_end(line))
        line.supervisor.stop()
        folder.mkdir(parents=True)
        _write_blocks(line.addresses.mongo_uri, folder)


def main() -> None:
    """Record the journals of the build that is checked out, or fold recorded journals into a new shape."""
    parser = argparse.ArgumentParser(description=__doc__)
    modes = parser.add_mutually_exclusive_group(required=True)
    modes.add_argument("version", nargs="?", help="record: the version that is released, as in 0.1.0")
    modes.add_argument(
        "--fold",
        action="store_true",
        help="write the states of recorded journals in a shape that is new here, in place of the older one",
    )
    options = parser.parse_args()
    if options.version:
        folder = JOURNALS_FOLDER / options.version
        if folder.exists():
            name = folder.relative_to(ROOT)
            sys.exit(f"{name} is there already; the journals of a released build do not change")
        record(folder)
    for folder in sorted(child for child in JOURNALS_FOLDER.iterdir() if child.is_dir()):
        for path in write_states(folder):
            print(f"written: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
