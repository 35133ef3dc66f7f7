"""One mutation on a copy of the tree: applied, its tests run, taken back."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.catalogue import Mutation
from tests.mutation.observer import RESULT_VARIABLE

CAUGHT = "caught"
TIMEOUT_S = 900
_LINKED = (".venv", "models")
"""Folders that are not in the tree's own list of files: shared, never changed by a test."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Result of a mutation; ``detail`` follows ``result`` in print."""

    result: str
    detail: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The node ids (without parameters) of the tests that failed by an assertion, or otherwise; why, in a line."""

    asserted: frozenset[str]
    otherwise: frozenset[str]
    passed: frozenset[str]
    reasons: Mapping[str, str]

    @property
    def failing(self) -> Mapping[str, str]:
        """Return the reason of each test that failed."""
        return {node: self.reasons.get(node, "") for node in self.asserted | self.otherwise}


def copied(root: Path, target: Path) -> Path:
    """Copy the files that git lists below ``root``, changed ones as they are now; return ``target``."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)
    for name in _LINKED:
        if (root / name).exists():
            (target / name).symlink_to(root / name)
    return target


def outcomes_of(tree: Path, nodes: tuple[str, ...]) -> Outcomes:
    """Run tests in ``tree``; raises ``RuntimeError`` when they cannot be collected or do not end."""
    result = tree / "build" / "mutation.json"
    result.parent.mkdir(exist_ok=True)
    result.unlink(missing_ok=True)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.mutation.observer",
        "-p",
        "no:cacheprovider",
        *nodes,
    ]
    environment = os.environ | {"PYTHONPATH": str(tree), RESULT_VARIABLE: str(result)}
    process = subprocess.Popen(
        command,
        cwd=tree,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=TIMEOUT_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.returncode not in (0, 1) or not result.exists():
        raise RuntimeError(printed[-2000:])
    read = json.loads(result.read_text())
    nodes_of = {kind: frozenset(map(_without_parameters, found)) for kind, found in read["outcomes"].items()}
    reasons = {_without_parameters(node): reason for node, reason in read["reasons"].items()}
    return Outcomes(**nodes_of, reasons=reasons)


def _without_parameters(node: str) -> str:
    return node.partition("[")[0]


def tried(tree: Path, mutation: Mutation, failing: Mapping[str, str]) -> Trial:
    """Apply ``mutation`` to ``tree``, run its tests, and take it back.

    ``failing`` holds the tests that fail without any mutation; a mutation that names one proves nothing.
    """
    began = time.monotonic()
    spoilt = [f"{node} ({failing[node]})" for node in mutation.tests if node in failing]
    if spoilt:
        return Trial("not tried", f": fails without it: {', '.join(spoilt)}", 0.0)
    file = tree / mutation.path
    before, stamp = file.read_text(), file.stat()
    file.write_text(before.replace(mutation.old, mutation.new))
    try:
        result, detail = _judged(outcomes_of(tree, mutation.tests))
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        result, detail = "broken", f": no test ran to its end: {str(error)[-300:]}"
    finally:
        file.write_text(before)
        os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    return Trial(result, detail, time.monotonic() - began)


def _judged(outcomes: Outcomes) -> tuple[str, str]:
    if outcomes.asserted:
        return CAUGHT, f" by {', '.join(sorted(node.rpartition('::')[2] for node in outcomes.asserted))}"
    if outcomes.otherwise:
        said = [f"{node} ({outcomes.reasons.get(node, '')})" for node in sorted(outcomes.otherwise)]
        return "broken", f": failed without an assertion: {', '.join(said)}"
    return "SURVIVED", f": {len(outcomes.passed)} tests passed"
