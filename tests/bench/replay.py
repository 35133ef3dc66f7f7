"""Replay: an archived ledger verified on every core, and folded into the states that the service itself keeps.

The archive is made first, by the ledger's own rules and encoding; making it is not measured.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

from services.ledger.domain.decide import DECIDER
from tests.bench.ledger_archive import ACCOUNTS_PER_SHARD, Made, make_shard, states_sha256
from tests.bench.report import Report
from tests.support.builders.forged_archive import merge
from winnow.audit.archive_verify import verify_archive
from winnow.audit.blob_store import LocalBlobs, Location
from winnow.audit.lanes import journal_lane
from winnow.audit.manifests import read_catalogue
from winnow.audit.replay import ShardFold
from winnow.audit.segments import unpack
from winnow.runtime.gc_tuning import rare_collections

SHARDS = 4
ENTRIES_PER_TASK = 2
"""A reserve and a settle with what it released."""


def make_archive(folder: Path, entries_count: int, processes: int) -> dict[str, Made]:
    """Make an archive of at least so many entries, a shard in a process."""
    tasks = -(-(entries_count // SHARDS - ACCOUNTS_PER_SHARD) // ENTRIES_PER_TASK)
    shards = [str(number) for number in range(SHARDS)]
    parts = [folder / f"part-{shard}" for shard in shards]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        made = list(pool.map(make_shard, parts, shards, [tasks] * SHARDS))
    merge(parts, folder / "archive")
    return {archive.shard: archive for archive in made}


def fold_shard(folder: Path, shard: str) -> tuple[int, float, str]:
    """Verify and fold a shard; return its events, the CPU seconds it took and the hash of the states."""
    started_s = time.process_time()
    store = LocalBlobs(folder)
    lane = journal_lane("ledger", shard)
    fold = ShardFold(DECIDER, lane)
    with rare_collections():
        for segment in asyncio.run(read_catalogue(store)).segments()[lane]:
            for document in unpack(asyncio.run(store.get(segment.name))):
                fold.take(document)
    states = [*fold.folded(), *fold.entities()]
    took_s = time.process_time() - started_s
    return fold.events_count, took_s, states_sha256(states)


def measure(folder: Path, made: dict[str, Made], rounds: int, processes: int, report: Report) -> None:
    """Verify the archive and fold each shard, round after round."""
    entries = sum(archive.entries_count for archive in made.values())
    verified_s: list[float] = []
    core_s: list[float] = []
    events_per_s: list[float] = []
    for _ in range(rounds):
        started_s, before_s = time.perf_counter(), _children_s()
        result = asyncio.run(
            verify_archive(Location(str(folder)), {}, datetime.now(UTC), profiles={}, processes=processes)
        )
        verified_s.append(time.perf_counter() - started_s)
        core_s.append(_children_s() - before_s)
        assert (result.exit_code, result.counts["entries"]) == (0, entries), result.findings[:5]
        for shard, archive in made.items():
            events, took_s, folded_sha256 = fold_shard(folder, shard)
            assert (events, folded_sha256) == (archive.events_count, archive.live_sha256), (
                "the states differ from the live"
            )
            events_per_s.append(events / took_s)
    report.add_sample(
        f"{entries:,} ledger entries verified, {processes} processes", verified_s, "s", at_most=60
    )
    report.add_sample("verification", [entries / seconds for seconds in core_s], "entries/s and core")
    report.add_sample(
        "folded into verified state, byte-equal to live", events_per_s, "events/s and core", at_least=50_000
    )
    report.add("events folded", sum(archive.events_count for archive in made.values()), "events a round")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    report.add("archive", size / entries, "bytes per entry")


def _children_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


def main() -> None:
    """Make the archive, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    given = parser.parse_args()
    report = Report("replay")
    with tempfile.TemporaryDirectory() as folder:
        made = make_archive(Path(folder), given.entries, given.processes)
        measure(Path(folder) / "archive", made, given.rounds, given.processes, report)
    report.close()


if __name__ == "__main__":
    main()
