"""Speed of measuring pictures on one core, beside the floor, the straightforward way, and peers.

Everything is counted in CPU seconds of one thread, so that other work on the machine does not show as
slowness; every way takes its turn in each round, and the figures are medians over the rounds. The pictures
are photographs that ship with scikit-image and scikit-learn, laid out to 1024 x 1024 by reflection (no
scaling, so they keep their detail), as JPEG.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from services.scorer.clients.profiles import BUILT_IN, load_profiles
from services.scorer.clients.rules import CelRules
from services.scorer.dimensions import FAMILIES
from services.scorer.engine.measure import measure_bytes
from services.scorer.engine.pool import ScoringPool
from services.scorer.engine.worker import keep_freed_memory
from services.scorer.vision.model_set import Models
from simulators.photos.studio import Subject
from simulators.renderer import Renderer, RenderRequest
from tests.bench.report import Report
from tests.bench.straightforward import tier_one
from tests.support.opencv import pixels
from tests.unit.scorer.photographs import jpeg, photograph

PHOTOGRAPHS = (
    "astronaut.png",
    "china.jpg",
    "flower.jpg",
    "coffee.png",
    "chelsea.png",
    "motorcycle_left.png",
    "rocket.jpg",
)
SIDE = 1024
_SELDOM = 3
PEERS_PYTHON = Path("build/bench-venv/bin/python")
TIER_ONE = frozenset(FAMILIES["technical"])
BUILT_IN_PROFILES = load_profiles(BUILT_IN, CelRules())

Way = Callable[[], float]


def megapixels(quality: int) -> list[bytes]:
    """Return the photographs as 1-megapixel JPEGs."""
    contents = []
    for name in PHOTOGRAPHS:
        picture = photograph(name)
        height, width = picture.shape[:2]
        bottom, right = max(0, SIDE - height), max(0, SIDE - width)
        wide = cv2.copyMakeBorder(picture, 0, bottom, 0, right, cv2.BORDER_REFLECT)
        contents.append(jpeg(pixels(wide)[:SIDE, :SIDE], quality))
    return contents


def timed(contents: list[bytes], do: Callable[[bytes], object]) -> Way:
    """Return the CPU seconds of one pass."""

    def once() -> float:
        started = time.process_time()
        for content in contents:
            do(content)
        return time.process_time() - started

    return once


def decoder(flags: int) -> Callable[[bytes], object]:
    """Decode and nothing else."""
    return lambda content: cv2.imdecode(np.frombuffer(content, np.uint8), flags)


class Peers:
    """The process with the peers' packages."""

    def __init__(self, contents: list[bytes]) -> None:
        """Start it with the pictures in a folder."""
        self._folder = tempfile.TemporaryDirectory()
        for index, content in enumerate(contents):
            Path(self._folder.name, f"{index}.jpg").write_bytes(content)
        self._process = subprocess.Popen(
            [PEERS_PYTHON, "tests/bench/peers.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._ask(self._folder.name)

    def way(self, name: str) -> Way:
        """Return the peer's CPU seconds of one pass."""

        def once() -> float:
            self._ask(name)
            assert self._process.stdout is not None
            return float(self._process.stdout.readline())

        return once

    def _ask(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """End it."""
        self._process.communicate()
        self._folder.cleanup()


def in_turns(
    ways: dict[str, Way], rounds: int, seldom: frozenset[str] = frozenset()
) -> dict[str, list[float]]:
    """Let every way take its turn in each round, after one round that does not count; ``seldom`` in every third round.

    The slow ways would take most of the benchmark's time, and their figures need no fine spread.
    """
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            if name in seldom and turn % _SELDOM != 1:
                continue
            seconds = way()
            if turn:
                spent[name].append(seconds)
    return spent


def add_rates(report: Report, spent: dict[str, list[float]], images: int, aims: dict[str, float]) -> None:
    """Report images a second: the median, and the spread as its quartiles."""
    for name, seconds in spent.items():
        low, middle, high = (images / at for at in reversed(statistics.quantiles(seconds, n=4)))
        spread = f"images/s a core (quartiles {low:.4g}..{high:.4g})"
        report.add(name, middle, spread, at_least=aims.get(name))


def headshots(count: int) -> list[bytes]:
    """Make simulated headshots of one megapixel."""
    renderer = Renderer()
    orders = [RenderRequest((1, index), Subject.headshot, (SIDE, SIDE), "jpeg") for index in range(count)]
    return [renderer.render(order).content for order in orders]


async def pool_rates(contents: list[bytes], wanted: frozenset[str], processes: int) -> tuple[float, float]:
    """Measure through the pool; return images a second of wall time, and of its processes' CPU time."""
    pool = ScoringPool(processes)
    await pool.start(wanted)
    try:
        before, started = pool_cpu_s(pool), time.perf_counter()
        await asyncio.gather(*(pool.measure(content, wanted) for content in contents))
        wall_s, cpu_s = time.perf_counter() - started, pool_cpu_s(pool) - before
    finally:
        pool.stop()
    return len(contents) / wall_s, len(contents) / cpu_s


def pool_cpu_s(pool: ScoringPool) -> float:
    """Return the CPU seconds that the pool's processes have used."""
    assert pool._executor is not None
    fields = [Path(f"/proc/{pid}/stat").read_text().split() for pid in pool._executor._processes]
    return sum(int(user) + int(system) for *_, user, system in (field[:15] for field in fields)) / os.sysconf(
        "SC_CLK_TCK"
    )


async def scaling(report: Report, contents: list[bytes], rounds: int) -> None:
    """Compare two processes with one, in turns."""
    rates: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    for _ in range(rounds):
        for processes, found in rates.items():
            found.append(await pool_rates(contents, TIER_ONE, processes))
    wall = {n: statistics.median(wall_rate for wall_rate, _ in found) for n, found in rates.items()}
    per_core = {n: statistics.median(core_rate for _, core_rate in found) for n, found in rates.items()}
    report.add("pool of one process, tier 1", wall[1], "images/s of wall time")
    report.add("pool of two processes, tier 1", wall[2], "images/s of wall time")
    report.add(
        "two processes against one, wall time (other work on the machine counts)", wall[2] / wall[1], "x"
    )
    report.add("two processes against one, by CPU seconds", 2 * per_core[2] / per_core[1], "x", at_least=1.8)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="at least 4")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    keep_freed_memory()
    report = Report("scorer")
    models = Models()
    for quality in (90, 75):
        contents = megapixels(quality)
        size = sum(len(picture) for picture in contents) // len(contents) // 1024
        tag = f"quality {quality}, {size} kB"
        peers = Peers(contents)
        ways = {
            f"tier 1, {tag}": timed(contents, lambda content: measure_bytes(content, TIER_ONE, models)),
            f"floor: decode luminance, {tag}": timed(contents, decoder(cv2.IMREAD_GRAYSCALE)),
            f"floor: decode luminance at half size, {tag}": timed(
                contents, decoder(cv2.IMREAD_REDUCED_GRAYSCALE_2)
            ),
            f"floor: decode colours, {tag}": timed(contents, decoder(cv2.IMREAD_COLOR)),
            f"tier 1 the straightforward way, {tag}": timed(contents, tier_one),
            f"imagehash pHash alone, {tag}": peers.way("imagehash phash"),
            f"brisque alone, {tag}": peers.way("brisque"),
        }
        slow = frozenset(name for name in ways if "straightforward" in name or "brisque" in name)
        try:
            spent = in_turns(ways, given.rounds, slow)
        finally:
            peers.close()
        add_rates(report, spent, len(contents), {f"tier 1, {tag}": 250})
    people = headshots(6)
    wanted = BUILT_IN_PROFILES.get("headshot").wanted()
    name = "headshot profile"
    spent = in_turns(
        {name: timed(people, lambda content: measure_bytes(content, wanted, models))}, given.rounds
    )
    add_rates(report, spent, len(people), {name: 12})
    asyncio.run(scaling(report, megapixels(90) * 40, 3))
    report.close()


if __name__ == "__main__":
    main()
