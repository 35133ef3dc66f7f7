"""The decoder gate under a coverage-guided fuzzer for a few seconds; ``make soak`` runs it for an hour."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = int(os.environ.get("WINNOW_FUZZ_SECONDS", "3"))


@pytest.mark.timeout(SECONDS + 90)
def test_decoder_gate_survives_a_coverage_guided_fuzzer() -> None:
    Path("build").mkdir(exist_ok=True)
    found = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.decoder", str(SECONDS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr[-3000:]
    executed = re.search(r"number_of_executed_units:\s+(\d+)", found.stderr)
    assert executed is not None, found.stderr[-3000:]
    assert int(executed[1]) > 500
