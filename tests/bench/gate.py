"""Findings of the demo's gate, against the recorded truth of the simulators' defects.

Pictures are made as the simulated providers make them, with every defect in equal number, and judged by the
real scoring processes with the built-in profiles. A defect is found when the candidate does not pass. The
limits of the profiles were set on the same simulators (other seeds) and one portrait: this guards against
regressions, it is no accuracy on real traffic.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections import Counter
from dataclasses import dataclass

from rich.console import Console
from rich.progress import track
from rich.table import Table

from services.scorer.app import Scorer
from services.scorer.clients.profiles import BUILT_IN, load_profiles
from services.scorer.clients.rules import CelRules
from services.scorer.domain.quality_profile import Profile
from services.scorer.engine.pool import ScoringPool
from services.scorer.inference.models import model_versions
from simulators.defects import CARDS, Defect
from simulators.photos.studio import Subject
from simulators.renderer import RenderedPicture, Renderer, RenderRequest
from tests.bench.report import Report

# Judged over a task's candidates at selection, not for one picture.
NOT_OF_ONE_PICTURE = {Defect.near_duplicate}
SIZES = ((1024, 1024), (768, 1024))
_TIMED = 60


class NoObjects:
    """The benchmark hands pictures over itself."""

    async def get(self, bucket: str, key: str) -> bytes:
        """Never called."""
        raise LookupError(bucket + key)


@dataclass(frozen=True, slots=True)
class Judged:
    """A picture's truth and verdict."""

    subject: Subject
    defect: Defect | None
    intended: bool
    passed: bool
    reasons: tuple[str, ...]


SUBJECTS = (Subject.headshot, Subject.product)
"""Advertisements and cut-outs are judged by what their orders name: `tests/quality` and `make bench-quality` do."""


def orders(seed: int, defective: int, good: int) -> list[RenderRequest]:
    """List the pictures: every defect that fits a subject, and good ones."""
    found = []
    for subject in SUBJECTS:
        for defect in (None, *Defect):
            if defect in NOT_OF_ONE_PICTURE or (defect and not CARDS[defect].applies_to(subject)):
                continue
            found += [
                RenderRequest((seed, index), subject, SIZES[index % 2], "jpeg", defect)
                for index in range(good if defect is None else defective)
            ]
    return found


async def judge_all(wanted: list[RenderRequest]) -> tuple[list[Judged], float]:
    """Make and judge the pictures; return the verdicts and the median milliseconds a picture on one core."""
    rules = CelRules()
    profiles = load_profiles(BUILT_IN, rules)
    pool = ScoringPool(os.cpu_count() or 1)
    scorer = Scorer(
        objects=NoObjects(), measurer=pool, profiles=profiles, rules=rules, models=model_versions()
    )
    await pool.start(frozenset[str]().union(*(profile.wanted() for profile in profiles.all())))
    renderer = Renderer()
    judged: list[Judged] = []

    async def judge(picture: RenderedPicture) -> None:
        verdict = await scorer.score(picture.content, profiles.get(picture.subject.value, None))
        failed = {dimension.name for dimension in verdict.dimensions if not dimension.passed}
        intended = bool(failed & set(picture.dimensions))
        judged.append(Judged(picture.subject, picture.defect, intended, verdict.passed, verdict.reasons))

    try:
        for start in track(range(0, len(wanted), 8), description="judging"):
            pictures = [
                await asyncio.to_thread(renderer.render, order) for order in wanted[start : start + 8]
            ]
            await asyncio.gather(*(judge(picture) for picture in pictures))
        return judged, await _one_at_a_time_ms(scorer, profiles.get("headshot", None), renderer)
    finally:
        pool.stop()


async def _one_at_a_time_ms(scorer: Scorer, profile: Profile, renderer: Renderer) -> float:
    spent_ms = []
    for index in range(_TIMED):
        picture = renderer.render(RenderRequest((1, index), Subject.headshot, SIZES[0], "jpeg"))
        started = time.perf_counter()
        await scorer.score(picture.content, profile)
        spent_ms.append((time.perf_counter() - started) * 1000)
    return statistics.median(spent_ms)


def print_defects(judged: list[Judged]) -> None:
    """Print how each defect fared."""
    table = Table(title="defects by subject")
    for column in ("subject", "defect", "made", "found", "on the intended dimension"):
        table.add_column(column)
    for subject in SUBJECTS:
        for defect in Defect:
            ours = [verdict for verdict in judged if verdict.subject is subject and verdict.defect is defect]
            if ours:
                found = sum(not row.passed for row in ours)
                intended = sum(row.intended for row in ours)
                table.add_row(subject.value, defect.value, str(len(ours)), str(found), str(intended))
    Console(width=120).print(table)
    reasons = Counter(reason for verdict in judged if verdict.defect is None for reason in verdict.reasons)
    Console(width=120).print(f"reasons of false rejections: {dict(reasons) or 'none'}")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=20_261)
    parser.add_argument("--defective", type=int, default=25, help="pictures of each defect and subject")
    parser.add_argument("--good", type=int, default=300, help="good pictures of each subject")
    given = parser.parse_args()
    judged, median_ms = asyncio.run(judge_all(orders(given.seed, given.defective, given.good)))
    print_defects(judged)
    report = Report("gate")
    for subject in (None, *SUBJECTS):
        ours = [verdict for verdict in judged if subject in (None, verdict.subject)]
        bad = [row for row in ours if row.defect is not None]
        good = [row for row in ours if row.defect is None]
        name = subject.value if subject else "all"
        report.add(
            f"recall of seeded defects, {name} (n={len(bad)})",
            sum(not verdict.passed for verdict in bad) / len(bad),
            "share",
            at_least=0.95,
        )
        report.add(
            f"of them on the intended dimension, {name}",
            sum(verdict.intended for verdict in bad) / len(bad),
            "share",
        )
        report.add(
            f"false rejections, {name} (n={len(good)})",
            sum(not verdict.passed for verdict in good) / len(good),
            "share",
            at_most=0.02,
        )
    report.add("time to a headshot verdict, 1024 x 1024 JPEG, one at a time", median_ms, "ms median")
    report.close()


if __name__ == "__main__":
    main()
