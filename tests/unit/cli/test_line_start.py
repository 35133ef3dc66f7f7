"""Starts of the line: the steps it prints, its background form, and what is refused first."""

from __future__ import annotations

import os
import socket
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from tests.unit.cli.line_commands import run
from winnow.cli import background, board, line_session
from winnow.cli.line_access import LineAccess


def test_every_step_of_a_start_is_a_line_where_nothing_can_be_drawn_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(board, "out", Console(force_terminal=False, width=100))
    steps = board.Board()
    with steps.shown():
        for step in ("waiting", "starting", "ready", "restarting after 1 s"):
            steps.tell("ledger", step)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "ledger starting"
    assert said[1].startswith("ledger ready after 0.")
    assert said[2:] == ["ledger restarting after 1 s"]


def test_a_start_in_the_background_that_fails_says_why(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        status, said = run("up", "--background", "--data-dir", str(tmp_path), "--api-port", port)
    assert status == 1
    assert "The line did not start" in said
    assert f"ort {port} for the API is already taken" in said


def test_a_start_says_how_the_line_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(background, "start_in_background", lambda _, arguments: started.extend(arguments))
    monkeypatch.setattr(line_session, "running", lambda _: nullcontext(SimpleNamespace(access=LineAccess())))
    monkeypatch.setattr(time, "sleep", interrupt)
    assert run("up", "--background", "--data-dir", str(tmp_path))[0] == 0
    detached = run("up", *started, "--data-dir", str(tmp_path))[1]
    attended = run("up", "--data-dir", str(tmp_path))[1]
    assert "`winnow down` stops every process." in detached
    assert "Ctrl-C" not in detached
    assert "Ctrl-C stops every process." in attended


def interrupt(_: float) -> None:
    raise KeyboardInterrupt


def test_a_host_for_webhooks_that_is_none_is_refused_before_anything_starts(tmp_path: Path) -> None:
    status, said = run("up", "--webhook-host", "host:port", "--data-dir", str(tmp_path))
    assert status == 1
    assert "Write it like 127.0.0.1:9000." in said
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_printed() -> None:
    status, said = run("--version")
    assert status == 0
    assert said.startswith("winnow 0.")


def test_a_start_in_the_background_makes_its_directory_and_its_log_for_their_owner_alone(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "new" / "data"
    before = os.umask(0o022)
    try:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = str(other.getsockname()[1])
            status, _ = run("up", "--background", "--data-dir", str(folder), "--api-port", port)
    finally:
        os.umask(before)
    assert status == 1
    modes = {path.name: path.stat().st_mode & 0o777 for path in (folder, folder / "logs" / "up.log")}
    assert modes == {"data": 0o700, "up.log": 0o600}
