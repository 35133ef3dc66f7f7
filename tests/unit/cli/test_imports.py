"""A command imports what it needs: modules are counted in a fresh process, time is not taken."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.command_page import every_command
from winnow.cli.lazy import load
from winnow.cli.main import SECTIONS

BACKENDS = {
    "PIL", "aiohttp", "aiokafka", "boto3", "botocore", "cv2", "faststream", "grpc", "motor", "numpy", "onnxruntime",
    "prometheus_client", "pydantic_settings", "pymongo", "structlog", "yaml",
}  # fmt: skip
"""Packages that only services, servers and pictures need."""
HEAVY = BACKENDS | {"asyncio", "httpx", "pydantic", "rich"}
"""Packages that neither a help text nor a command that reads this machine alone needs."""

RUN = """
import json, sys
from winnow.cli.main import app
heavy, found = set(json.loads(sys.argv[1])), {}
for arguments in json.loads(sys.argv[2]):
    try:
        app(arguments)
    except SystemExit:
        pass
    found[" ".join(arguments)] = sorted(heavy & sys.modules.keys())
    heavy -= sys.modules.keys()
with open(sys.argv[3], "w") as file:
    json.dump(found, file)
"""


def imported(heavy: set[str], commands: list[list[str]], tmp_path: Path) -> dict[str, list[str]]:
    """Run commands one after the other in a fresh process, and return what each imported first."""
    target = tmp_path / "found.json"
    argv = [sys.executable, "-c", RUN, json.dumps(sorted(heavy)), json.dumps(commands), str(target)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(target.read_text())
    return {command: modules for command, modules in found.items() if modules}


def test_no_help_and_no_version_imports_what_only_a_running_command_needs(tmp_path: Path) -> None:
    commands = [words for _, words, _ in every_command()]
    groups = sorted({words[0] for words in commands if len(words) > 1})
    helps = [[*words, "--help"] for words in [[], *([group] for group in groups), *commands]]
    assert imported(HEAVY, [["--version"], *helps], tmp_path) == {}


def test_a_command_that_reads_this_machine_alone_imports_no_client(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/ledger.log").write_text("a line\n")
    place = ["--data-dir", str(tmp_path)]
    commands = [["down", *place], ["status", *place], ["logs", *place], ["logs", "ledger", *place]]
    assert imported(HEAVY, commands, tmp_path) == {}


def test_a_client_of_the_public_api_imports_no_server_no_driver_and_no_pictures(tmp_path: Path) -> None:
    place = ["--data-dir", str(tmp_path), "--api-url", "http://127.0.0.1:9"]
    mine, admin = [*place, "--api-key", "k"], [*place, "--admin-token", "t"]
    commands = [
        ["account", *mine],
        ["grant", "acct_me", "1", *admin],
        ["keys", "list", *admin],
        ["tasks", "list", *mine],
        ["tasks", "cancel", "task_1", *mine],
        ["tasks", "bill", "task_1", *mine],
        ["tasks", "download", "task_1", *mine],
        ["webhooks", "list", *mine],
        ["watch", "task_1", *mine],
        ["submit", "--template", "t", "-k", "1", "--prompt", "p", *mine],
    ]
    assert imported(BACKENDS, commands, tmp_path) == {}


@pytest.mark.parametrize(
    ("name", "entry"),
    [pair for entries in SECTIONS.values() for pair in entries.items()],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_summary_of_a_command_is_the_beginning_of_its_own_help(name: str, entry: object) -> None:
    command = load(name, entry)  # type: ignore[arg-type]
    said = " ".join((command.help or "").split())
    wanted = entry.summary.removesuffix(".")  # type: ignore[attr-defined]
    assert said.startswith(wanted), f"{name}: {said}"
