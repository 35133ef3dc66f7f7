"""A service's image holds its own lock file's packages and nothing else: the service must start with just those."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ["ingest", "router", "scorer", "ledger", "delivery"]

UNUSED = {
    "boto3",
    "s3transfer",
    "prompt_toolkit",
    "typer",
    "fastapi",
    "cv2",
    "onnxruntime",
    "botocore.session",
}
"""Packages that a library brings along and no start uses.

The scorer's own is in ``tests/unit/scorer/test_start_imports.py``.
"""

# Imports rooms of the service, one after another, while no module of a package outside the lock can be found, as in
# the image.
IN_THE_IMAGE = """
import importlib.abc, json, sys
hidden = set(json.loads(sys.argv[1]))
class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
for name in [one for one in sys.modules if one.partition(".")[0] in hidden]:
    del sys.modules[name]
sys.meta_path.insert(0, Hide())
import importlib
loaded = {}
for room in sys.argv[3:]:
    importlib.import_module(f"services.{sys.argv[2]}.{room}")
    loaded[room] = list(sys.modules)
print(json.dumps(loaded))
"""


def locked(service: str) -> set[str]:
    """Read the names of a service's lock file."""
    lines = (ROOT / f"requirements/{service}.lock").read_text().splitlines()
    return {
        canonicalize_name(Requirement(line.rstrip("\\ ").strip()).name)
        for line in lines
        if line and line[0].isalnum()
    }


@cache
def owners() -> Mapping[str, list[str]]:
    """Return the packages that each module of this environment belongs to."""
    return importlib.metadata.packages_distributions()


def in_the_image(hidden: list[str], service: str, *rooms: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", IN_THE_IMAGE, json.dumps(hidden), service, *rooms]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_with_what_its_lock_installs_and_no_code_of_others(service: str) -> None:
    """The same process then imports what rebuilds the service's stores, if it has any."""
    present = {*locked(service), "winnow-media"}
    hidden = [
        module
        for module, packages in owners().items()
        if not {canonicalize_name(package) for package in packages} & present
    ]
    rooms = ["main"] if service == "scorer" else ["main", "rebuild"]
    done = in_the_image(hidden, service, *rooms)
    assert done.returncode == 0, done.stderr[-2000:]
    loaded: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    own = [f"services.{service}", "winnow.adapters", "winnow.contracts", "winnow.runtime", "winnow.rpc"]
    if service != "scorer":
        own.append("winnow.eventstore")
    if service in {"ingest", "delivery"}:
        own.append("winnow.egress")
    ours = [text for text in loaded["main"] if text.startswith(("services.", "winnow.", "simulators"))]
    assert [row for row in ours if not row.startswith(tuple(own))] == []
    unused = {"scorer": set(), "ingest": UNUSED - {"fastapi"}}.get(service, UNUSED)
    assert set(loaded["main"]) & unused == set()


def test_the_check_bites() -> None:
    hidden = [module for module, packages in owners().items() if "aiokafka" in packages]
    done = in_the_image(hidden, "ledger", "main")
    assert done.returncode != 0
    assert "aiokafka" in done.stderr
