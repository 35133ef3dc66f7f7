"""Crash points: off by default, deadly on the asked pass, and never a typing error that goes unnoticed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from winnow.runtime.failpoints import POINTS, SETTING, parse

_PASSES = (
    "from winnow.runtime.failpoints import reach\nfor n in range(3):\n reach('{}'); print(n, flush=True)"
)


def run(point: str, armed: str | None) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name != SETTING}
    if armed is not None:
        env[SETTING] = armed
    return subprocess.run(
        [sys.executable, "-c", _PASSES.format(point)], env=env, capture_output=True, text=True, check=False
    )


def test_off_unless_asked() -> None:
    ended = run("before_insert", None)
    assert (ended.returncode, ended.stdout.split()) == (0, ["0", "1", "2"])


@pytest.mark.parametrize(("armed", "passed"), [("before_insert", []), ("before_insert:3", ["0", "1"])])
def test_kills_at_the_asked_pass(armed: str, passed: list[str]) -> None:
    ended = run("before_insert", armed)
    assert (ended.returncode, ended.stdout.split()) == (-signal.SIGKILL, passed)


def test_another_point_is_passed() -> None:
    assert run("after_insert", "before_insert").returncode == 0


@pytest.mark.parametrize("text", ["before_insrt", "before_insert:0", "before_insert:x"])
def test_a_wrong_name_or_number_ends_the_start(text: str) -> None:
    with pytest.raises(ValueError, match=r"before_insert|invalid literal"):
        parse(text)
    assert run("before_insert", text).returncode == 1


def test_points_are_named_where_they_are_reached() -> None:
    found = subprocess.run(
        ["git", "grep", "-hoE", r"failpoints\.reach\(\"[a-z_]+\"\)", "--", "winnow", "services"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert {line.split('"')[1] for line in found.stdout.split()} == POINTS
