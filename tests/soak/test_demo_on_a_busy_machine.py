"""`winnow demo` keeps its promises on a machine that has something else to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.busy import busy_loops
from tests.support.servers.line import free_port

LOOPS = 4


@pytest.mark.timeout(1800)
def test_the_demo_holds_beside_four_busy_loops(tmp_path: Path) -> None:
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("WINNOW_")}
    argv = [sys.executable, "-m", "winnow.cli.main", "demo", "--data-dir", str(tmp_path / "line")]
    with busy_loops(LOOPS):
        done = subprocess.run(
            [*argv, "--api-port", str(free_port())],
            env=surroundings | {"COLUMNS": "250"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Both orders ended as promised." in done.stdout
