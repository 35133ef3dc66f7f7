"""The commands refuse bad input with one sentence and a non-zero exit, before anything is started."""

from __future__ import annotations

import shutil
import socket
import stat
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from scripts.command_page import every_command
from winnow.cli.errors import CliError, as_sentence
from winnow.cli.line_access import ACCESS_FILE, LineAccess
from winnow.cli.main import app

COMMANDS = [words for _, words, _ in every_command()]


def refusal(*arguments: str, env: dict[str, str] | None = None) -> str:
    result = CliRunner().invoke(app, list(arguments), env=env, terminal_width=200)
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, [*arguments, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_a_line_that_was_never_started_is_said_with_what_to_do(tmp_path: Path) -> None:
    said = refusal("watch", "task_1", "--data-dir", str(tmp_path))
    assert "winnow up" in said
    assert "WINNOW_API_URL" in said


def test_a_missing_key_is_said(tmp_path: Path) -> None:
    said = refusal("watch", "task_1", "--data-dir", str(tmp_path), "--api-url", "http://127.0.0.1:9")
    assert "WINNOW_API_KEY" in said


def test_the_kept_key_is_not_sent_to_another_api(tmp_path: Path) -> None:
    LineAccess(api_url="http://127.0.0.1:8", api_key="wk_live_kept").write(tmp_path)
    said = refusal("watch", "task_1", "--data-dir", str(tmp_path), "--api-url", "http://127.0.0.1:9")
    assert "No API key" in said


def test_an_api_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        said = refusal(
            "watch", "task_1", "--data-dir", str(tmp_path), "--api-url", url, env={"WINNOW_API_KEY": "k"}
        )
    assert url in said
    assert "cannot be reached" in said


def test_a_port_that_is_taken_is_named_before_anything_starts(
    tmp_path: Path, no_processes: list[object]
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = refusal("up", "--data-dir", str(tmp_path), "--api-port", str(port))
    assert f"Port {port}" in said or f"port {port}" in said
    assert "already taken" in said
    assert no_processes == []


def test_a_full_disk_is_said_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_processes: list[object]
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=10, used=10, free=1024))
    said = refusal("demo", "--data-dir", str(tmp_path))
    assert "disk space" in said
    assert str(tmp_path) in said
    assert no_processes == []


def test_a_rebuilding_from_what_is_no_archive_is_refused_before_anything_is_asked() -> None:
    names = ("MONGO_URI", "KAFKA_BOOTSTRAP", "S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY")
    env = {f"WINNOW_LEDGER_{name}": "mongodb://127.0.0.1:1" for name in names}
    arguments = ("rebuild", "ledger", "--from", "archive", "--archive", "ftp://store/archive")
    said = refusal(*arguments, env=env)
    assert "The address 'ftp://store/archive' is neither s3://bucket/prefix nor a folder." in said


def test_an_archive_that_would_not_be_read_is_refused(tmp_path: Path) -> None:
    said = refusal("rebuild", "ledger", "--archive", str(tmp_path))
    assert "--archive is read with --from archive only" in said


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("the stores are held", "The stores are held."),
        ("winnow_ledger is not empty (state)", "winnow_ledger is not empty (state)."),
        ("journal/ledger/0: block 2 is missing", "journal/ledger/0: block 2 is missing."),
        ("stopped.", "Stopped."),
    ],
)
def test_a_sentence_begins_with_a_capital_and_a_name_as_it_is(text: str, sentence: str) -> None:
    assert as_sentence(text) == sentence


def test_nothing_to_stop_is_no_failure(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["down", "--data-dir", str(tmp_path)])
    assert result.exit_code == 0
    assert "No line runs" in result.output


def test_the_place_is_for_its_owner_only_and_survives_a_round_trip(tmp_path: Path) -> None:
    place = LineAccess(
        api_url="http://a", kafka_bootstrap="k", ledger_grpc="l", api_key="wk_live_x", admin_token="t"
    )
    place.write(tmp_path)
    assert LineAccess.read(tmp_path) == place
    assert stat.S_IMODE((tmp_path / ACCESS_FILE).stat().st_mode) == 0o600
    assert "wk_live_x" not in repr(place)


def test_a_broken_place_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / ACCESS_FILE).write_text("{")
    with pytest.raises(CliError, match="winnow up"):
        LineAccess.read(tmp_path)


@pytest.fixture
def no_processes(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    started: list[object] = []

    def refuse(*arguments: object, **_: object) -> None:
        started.append(arguments)
        raise OSError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    return started
