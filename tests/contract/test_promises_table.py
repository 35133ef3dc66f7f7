"""The README names, for every promise, tests that exist: pytest collects each of them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (P\d) \| .+ \| (.+) \|$", re.MULTILINE)
NODE = re.compile(r"`(tests/[\w/]+\.py::\w+)`")
ROWS = dict(ROW.findall((ROOT / "README.md").read_text()))


def test_every_promise_has_a_row_that_names_tests() -> None:
    assert sorted(ROWS) == [f"P{number}" for number in range(1, 8)]
    assert [promise for promise, shown in ROWS.items() if not NODE.search(shown)] == []


@pytest.mark.timeout(300)
def test_every_test_that_a_promise_names_is_collected() -> None:
    """Errors of collection name a test that is not there; every one that is there gives a line."""
    named = sorted({node for shown in ROWS.values() for node in NODE.findall(shown)})
    assert named
    command = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider", *named]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    missing = [node for node in named if node not in done.stdout]
    assert missing == []
