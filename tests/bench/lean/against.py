"""Two builds in turns: each commit in a work tree of its own, measured by the same benchmark, compared pair by pair."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from tests.bench.lean.cost import Comparison, compare, order_of_pair
from tests.bench.lean.measure import FASTEST, Plan
from tests.bench.lean.tables import LONE, SERVICES_AND_BROKER
from tests.bench.report import FOLDER

ROOT: Final = Path(__file__).resolve().parents[3]
_LOCK: Final = "requirements/dev.lock"
_OVERLAID: Final = ("tests/bench", "tests/support")
_TOLD_LINES: Final = 6
RATIO_AIMS: Final = {
    f"{FASTEST}: {SERVICES_AND_BROKER}": ("<=", 0.6),
    f"{FASTEST}: CPU of SecantusDB": ("<=", 0.55),
    f"{LONE}: accepted to delivered, p50": ("<=", 0.75),
    f"{FASTEST}: accepted": (">=", 1.5),
}
"""Aims of a figure after to the figure before."""


class Refused(Exception):  # noqa: N818 (the noun of what happened)
    """A comparison cannot be made; the text says why."""


@dataclass(frozen=True, slots=True)
class Build:
    """A tree that can be run, and the Python that runs it."""

    commit: str
    folder: Path
    python: str


class Builds:
    """The commit before and the present one, each made ready to run."""

    def __init__(self, commit: str, *, is_dirty_allowed: bool = False, root: Path = ROOT) -> None:
        """Name the commit before."""
        self._commit = commit
        self._is_dirty_allowed = is_dirty_allowed
        self._root = root

    def resolve(self) -> tuple[str, str]:
        """Return both commits in full; raises Refused for an unknown commit, the present one, or a dirty tree."""
        known = self._git("rev-parse", "--verify", "--quiet", f"{self._commit}^{{commit}}", check=False)
        if known.returncode:
            raise Refused(f"unknown commit: {self._commit}")
        before, after = known.stdout.strip(), self._git("rev-parse", "HEAD").stdout.strip()
        changes = self._git("status", "--porcelain").stdout.splitlines()
        if changes and not self._is_dirty_allowed:
            raise Refused(
                f"the tree has {len(changes)} changes that no commit holds ({changes[0].strip()}, ...):"
                " commit them, or measure them all the same with DIRTY=1"
            )
        if before == after and not changes:
            raise Refused(f"{self._commit} is the present commit: there is nothing to compare")
        return before, f"{after} with changes" if changes else after

    @contextmanager
    def ready(self) -> Iterator[dict[str, Build]]:
        """Yield both builds; the work trees are gone afterwards."""
        before, after = self.resolve()
        with tempfile.TemporaryDirectory(prefix="winnow-against-") as folder:
            trees = {"before": Path(folder) / "before", "after": Path(folder) / "after"}
            is_dirty = " " in after
            try:
                self._check_out(before, trees["before"])
                if is_dirty:
                    trees["after"] = self._root
                else:
                    self._check_out(after, trees["after"])
                commits = {"before": before, "after": after}
                yield {
                    side: Build(commits[side], tree, self._python(tree, Path(folder) / f"venv-{side}"))
                    for side, tree in trees.items()
                }
            finally:
                for tree in trees.values():
                    if tree != self._root:
                        self._git("worktree", "remove", "--force", str(tree), check=False)

    def _check_out(self, commit: str, tree: Path) -> None:
        """Check a commit out; the benchmark is the present one, so that both builds are measured alike."""
        self._git("worktree", "add", "--quiet", "--detach", str(tree), commit)
        for folder in _OVERLAID:
            shutil.rmtree(tree / folder, ignore_errors=True)
            if (self._root / folder).is_dir():
                shutil.copytree(
                    self._root / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__")
                )

    def _python(self, tree: Path, venv: Path) -> str:
        """Return this Python where the tree pins what is installed here, else that of an environment made for it."""
        lock = tree / _LOCK
        if not lock.exists():
            raise Refused(f"the commit is too old to be run: it has no {_LOCK}")
        if lock.read_bytes() == (self._root / _LOCK).read_bytes():
            return sys.executable
        uv = self._root / ".tools/bin/uv"
        _note(f"other versions are pinned there: an environment is made in {venv}")
        python = str(venv / "bin/python")
        _run([str(uv), "venv", "--quiet", "--python", sys.executable, str(venv)])
        _run([str(uv), "pip", "sync", "--quiet", "--python", python, "--require-hashes", str(lock)])
        return python

    def _git(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return _run(["git", "-C", str(self._root), *arguments], check=check)


def against(builds: Builds, plan: Plan, pairs: int) -> None:
    """Measure both builds in turns and print the ratios; raises Refused when a build cannot be measured."""
    with builds.ready() as made:
        found: dict[str, list[dict[str, float]]] = {"before": [], "after": []}
        for number in range(pairs):
            for side in order_of_pair(number):
                _note(f"pair {number + 1} of {pairs}: {side} ({made[side].commit[:12]})")
                found[side].append(measured(made[side], plan))
        commits = {side: build.commit for side, build in made.items()}
    compared = comparisons(found["before"], found["after"])
    _show(commits, compared, pairs)
    FOLDER.mkdir(parents=True, exist_ok=True)
    document = {"commits": commits, "pairs": pairs, "plan": asdict(plan), "runs": found}
    (FOLDER / "lean-against.json").write_text(json.dumps(document, indent=1) + "\n")


def comparisons(
    before: Sequence[dict[str, float]], after: Sequence[dict[str, float]]
) -> dict[str, Comparison]:
    """Compare the figures that every run has and for which a ratio has a meaning, in the order of the first run."""
    runs = [*before, *after]
    found = {}
    for name in before[0]:
        if all(name in run for run in runs):
            pairs = [(old[name], new[name]) for old, new in zip(before, after, strict=True)]
            if (comparison := compare(pairs)) is not None:
                found[name] = comparison
    return found


def measured(build: Build, plan: Plan) -> dict[str, float]:
    """Run the benchmark on a build and return its figures; raises Refused with the last lines of a run that failed."""
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "figures.json"
        argv = [build.python, "-m", "tests.bench.lean", "--record", str(record), *arguments_of(plan)]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPATH"] = str(build.folder)
        told: deque[str] = deque(maxlen=_TOLD_LINES)
        with subprocess.Popen(
            argv, cwd=build.folder, env=environment, stderr=subprocess.PIPE, text=True
        ) as process:
            for line in process.stderr or ():
                told.append(line)
                _note(f"    {line.rstrip()}")
        if process.returncode:
            raise Refused(f"{build.commit[:12]} could not be measured:\n{''.join(told)}")
        figures: list[dict[str, Any]] = json.loads(record.read_text())
    return {figure["figure"]: figure["value"] for figure in figures}


def arguments_of(plan: Plan) -> list[str]:
    """Return the options that make a run of this plan."""
    return [
        f"--orders={plan.orders}",
        f"--at-once={plan.at_once}",
        f"--rates={','.join(f'{rate:g}' for rate in plan.rates)}",
        f"--seconds={plan.seconds:g}",
        f"--lone={plan.lone}",
        f"--counted={plan.counted}",
        f"--bus={plan.bus}",
    ]


def _show(commits: dict[str, str], compared: dict[str, Comparison], pairs: int) -> None:
    table = Table(
        title=f"{commits['after'][:12]} against {commits['before'][:12]}, {pairs} pairs in turns"
        f" (load average {os.getloadavg()[0]:.1f})",
        caption="before and after are medians; the ratio is the median of the pairs' ratios, with least and most",
    )
    for column in ("figure", "before", "after", "ratio", "least to most", "aim", "holds"):
        table.add_column(column, justify="left" if column == "figure" else "right")
    for name, found in compared.items():
        sign, aim = RATIO_AIMS.get(name, ("", 0.0))
        holds = found.ratio <= aim if sign == "<=" else found.ratio >= aim
        table.add_row(
            name,
            f"{found.before:,.4g}",
            f"{found.after:,.4g}",
            f"{found.ratio:.2f}",
            f"{found.least:.2f} to {found.most:.2f}",
            f"{sign} {aim}" if sign else "",
            ("yes" if holds else "NO") if sign else "",
        )
    Console(width=140).print(table)


def _run(argv: Sequence[str], *, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise Refused(f"{' '.join(argv[:4])} ... failed: {done.stderr.strip()}")
    return done


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
