"""A service's image holds its own lock file's packages and nothing else: the service must start with just those."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ["ingest", "router", "scorer", "ledger", "delivery"]

# Imports the service's main while every module of a package outside the lock cannot be found, as in the image.
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
importlib.import_module(f"services.{sys.argv[2]}.{sys.argv[3]}")
print(json.dumps([one for one in sys.modules if one.startswith(("services.", "winnow.", "simulators"))]))
"""


def locked(service: str) -> set[str]:
    """Read the names of a service's lock file."""
    lines = (ROOT / f"requirements/{service}.lock").read_text().splitlines()
    return {
        canonicalize_name(Requirement(line.rstrip("\\ ").strip()).name)
        for line in lines
        if line and line[0].isalnum()
    }


def loaded_in_the_image(service: str, room: str = "main") -> list[str]:
    present = locked(service)
    owners = importlib.metadata.packages_distributions()
    hidden = [
        module
        for module, packages in owners.items()
        if not {canonicalize_name(one) for one in packages} & {*present, "winnow-media"}
    ]
    done = subprocess.run(
        [sys.executable, "-c", IN_THE_IMAGE, json.dumps(hidden), service, room],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    modules: list[str] = json.loads(done.stdout.splitlines()[-1])
    return modules


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_with_what_its_lock_installs_and_no_code_of_others(service: str) -> None:
    rooms = [f"services.{service}", "winnow.contracts", "winnow.runtime", "winnow.rpc"]
    if service in {"ingest", "delivery"}:
        rooms.append("winnow.egress")
    assert [one for one in loaded_in_the_image(service) if not one.startswith(tuple(rooms))] == []


@pytest.mark.parametrize("service", [one for one in SERVICES if one != "scorer"])
def test_stores_are_rebuilt_with_no_more_packages_than_the_service_has(service: str) -> None:
    assert f"services.{service}.rebuild" in loaded_in_the_image(service, "rebuild")


def test_the_check_bites() -> None:
    modules = importlib.metadata.packages_distributions()
    hidden = json.dumps([one for one, packages in modules.items() if "aiokafka" in packages])
    done = subprocess.run(
        [sys.executable, "-c", IN_THE_IMAGE, hidden, "ledger", "main"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "aiokafka" in done.stderr
