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

from winnow.audit.profiles import SHIPPED

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
    """Read the names of a lock file."""
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


def outside(lock: str) -> list[str]:
    """Return the modules of packages that a lock file does not install."""
    present = {*locked(lock), "winnow-media"}
    return [
        module
        for module, packages in owners().items()
        if not {canonicalize_name(package) for package in packages} & present
    ]


def in_the_image(hidden: list[str], service: str, *rooms: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", IN_THE_IMAGE, json.dumps(hidden), service, *rooms]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_with_what_its_lock_installs_and_no_code_of_others(service: str) -> None:
    """The same process then imports what rebuilds the service's stores, if it has any."""
    hidden = outside(service)
    rooms = ["main"] if service == "scorer" else ["main", "rebuild"]
    done = in_the_image(hidden, service, *rooms)
    assert done.returncode == 0, done.stderr[-2000:]
    loaded: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    own = [
        f"services.{service}",
        "winnow.adapters",
        "winnow.contracts",
        "winnow.objectwire",
        "winnow.runtime",
        "winnow.rpc",
    ]
    if service != "scorer":
        own.append("winnow.eventstore")
    if service in {"ingest", "router", "ledger"}:
        own.append("winnow.templates")
    if service in {"ingest", "delivery"}:
        own.append("winnow.egress")
    if service in {"router", "delivery"}:
        own.append("winnow.pictures")
    ours = [text for text in loaded["main"] if text.startswith(("services.", "winnow.", "simulators"))]
    assert [row for row in ours if not row.startswith(tuple(own))] == []
    unused = {"scorer": set(), "ingest": UNUSED - {"fastapi"}}.get(service, UNUSED)
    assert set(loaded["main"]) & unused == set()


# Calls commands of the ops image, while neither a package outside the lock nor a folder outside the image can be found.
IN_THE_OPS_IMAGE = """
import importlib, importlib.abc, json, pkgutil, sys
hidden, folders, commands = (json.loads(argument) for argument in sys.argv[1:4])
class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        parts = name.split(".")
        ours = parts[0] in {"winnow", "services", "simulators", "scripts", "tests"} and len(parts) > 1
        if parts[0] in hidden or (ours and "/".join(parts[:2]) not in folders):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
for name in [loaded for loaded in sys.modules if loaded.partition(".")[0] in hidden]:
    del sys.modules[name]
sys.meta_path.insert(0, Hide())
import winnow.audit
from winnow.cli.main import app
for service in sys.argv[4:]:
    importlib.import_module(f"services.{service}.rebuild")
for module in pkgutil.iter_modules(winnow.audit.__path__):
    importlib.import_module(f"winnow.audit.{module.name}")
for room in ("audit_archive", "audit_live", "audit_places", "audit_report", "dead_letters"):
    importlib.import_module(f"winnow.cli.{room}")
statuses = []
for arguments in commands:
    try:
        app(arguments)
    except SystemExit as ended:
        statuses.append(ended.code)
print(json.dumps(statuses))
"""
CALLS: list[tuple[list[str], int]] = [
    (["--help"], 0),
    (["topics", "apply", "--help"], 0),
    (["reemit", "--help"], 0),
    (["audit", "verify", "--from", "topics", "--bootstrap", "127.0.0.1:1"], 2),
    (["audit", "verify", "--from", "archive", "--archive", "/nowhere"], 2),
    (["dlq", "list", "--bootstrap", "127.0.0.1:1"], 1),
    (["up"], 1),
]
"""Arguments, and the status that they leave with."""


def ops_folders() -> set[str]:
    """Return the folders of the project that the ops image holds."""
    stage = (ROOT / "deploy/Dockerfile").read_text().partition(" AS ops-build")[2].partition("\nFROM ")[0]
    copied = [line.split()[1:] for line in stage.splitlines() if line.startswith("COPY ")]
    return {source for source, target in copied if source == target}


def in_the_ops_image(hidden: list[str]) -> subprocess.CompletedProcess[str]:
    """Import what rebuilds and audits, then call commands that end before they reach a server."""
    argv = [json.dumps(value) for value in (hidden, sorted(ops_folders()), [words for words, _ in CALLS])]
    command = [sys.executable, "-c", IN_THE_OPS_IMAGE, *argv, "ingest", "router", "ledger", "delivery"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_commands_of_operators_start_with_what_their_lock_installs() -> None:
    done = in_the_ops_image(outside("ops"))
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [status for _, status in CALLS], done.stderr
    assert "Traceback" not in done.stderr
    assert "This installation has no winnow.local, which the command needs." in done.stderr


def test_the_check_of_the_ops_image_bites() -> None:
    done = in_the_ops_image([*outside("ops"), "zstandard"])
    assert done.returncode != 0
    assert "zstandard" in done.stderr


def test_the_ops_image_holds_the_profiles_that_verdicts_are_judged_by() -> None:
    assert str(SHIPPED.relative_to(ROOT)) in ops_folders()


def test_the_check_bites() -> None:
    hidden = [module for module, packages in owners().items() if "aiokafka" in packages]
    done = in_the_image(hidden, "ledger", "main")
    assert done.returncode != 0
    assert "aiokafka" in done.stderr
