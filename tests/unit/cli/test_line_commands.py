"""Commands of the line on this machine: state, logs and the background form, without a line."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from typer.testing import CliRunner

from winnow.cli import background, board, line_session
from winnow.cli.line_access import LineAccess
from winnow.cli.line_state import read_state
from winnow.cli.logs import Follower
from winnow.cli.main import app
from winnow.local.process import started_at
from winnow.local.record import LineRecord, ProcessState
from winnow.local.stack import EmbeddedStack

READY = """
import http.server, sys
class Probe(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(sys.argv[1]))
        self.end_headers()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Probe)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments), terminal_width=200)
    assert "Traceback" not in result.output
    return result.exit_code, result.output


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_state_is_that_of_the_stack(tmp_path: Path) -> None:
    EmbeddedStack(tmp_path).keep(ports={"api": 1}, pid=7)
    assert read_state(tmp_path) == EmbeddedStack(tmp_path).state() == {"ports": {"api": 1}, "pid": 7}
    assert read_state(tmp_path / "nothing") == {}


def record(folder: Path, *processes: ProcessState, began: str | None = None) -> None:
    """Write the record of a line that this very process supervises."""
    LineRecord(os.getpid(), began or started_at(os.getpid()) or "", processes=processes).write(folder)


def process(name: str, port: int, **changes: object) -> ProcessState:
    fields: dict[str, object] = {
        "name": name,
        "kind": "service",
        "state": "ready",
        "pid": 7,
        "restarts": 0,
        "since": "2026-01-01T00:00:00.000+00:00",
        "address": f"http://127.0.0.1:{port}",
        "log": f"/logs/{name}.log",
    }
    return ProcessState(**fields | changes)  # type: ignore[arg-type]


@contextmanager
def probe(answer: int) -> Iterator[int]:
    """Answer every probe with a status; yield the port."""
    child = subprocess.Popen([sys.executable, "-c", READY, str(answer)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        yield int(child.stdout.readline())
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_a_later_process_with_the_same_id_is_no_line(tmp_path: Path) -> None:
    record(tmp_path, began="another boot/1")
    status, said = run("status", "--data-dir", str(tmp_path))
    assert status == 3
    assert "No line runs" in said
    assert "winnow up" in said
    assert run("status", "--data-dir", str(tmp_path / "nothing"))[0] == 3


def test_the_status_tells_a_ready_process_from_one_that_only_runs_and_from_one_that_does_not(
    tmp_path: Path,
) -> None:
    server = process("Tansu", free_port(), kind="server", address="127.0.0.1:9092")
    with probe(200) as ready, probe(503) as busy:
        record(tmp_path, process("ledger", ready), server)
        assert run("status", "--data-dir", str(tmp_path))[0] == 0
        gone = process("scorer", free_port(), state="given up", pid=0, restarts=5)
        record(tmp_path, process("ledger", ready), process("router", busy), gone, server)
        status, said = run("status", "--data-dir", str(tmp_path), "--json")
        lines = run("status", "--data-dir", str(tmp_path))[1].splitlines()
    assert status == 1
    assert [(row["name"], row["state"], row["is_ready"]) for row in json.loads(said)["processes"]] == [
        ("Tansu", "ready", True),
        ("ledger", "ready", True),
        ("router", "not ready", False),
        ("scorer", "given up", False),
    ]
    assert lines[-1].split()[0] == "scorer"
    assert lines[-1].endswith("given up    not running  5 restarts")


def test_the_address_of_the_api_is_printed_alone_and_only_when_it_answers(tmp_path: Path) -> None:
    LineAccess(api_url="http://127.0.0.1:8080").write(tmp_path)
    with probe(200) as ready:
        record(tmp_path, process("ingest", ready))
        assert run("status", "--api", "--data-dir", str(tmp_path)) == (0, "http://127.0.0.1:8080\n")
    status, said = run("status", "--api", "--data-dir", str(tmp_path))
    assert (status, "not ready" in said) == (1, True)


def test_a_damaged_record_is_said(tmp_path: Path) -> None:
    (tmp_path / "processes.json").write_text("{")
    status, said = run("status", "--data-dir", str(tmp_path))
    assert (status, "not readable" in said) == (1, True)


def log(folder: Path, name: str, *lines: str) -> Path:
    path = folder / "logs" / f"{name}.log"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_the_newest_lines_of_one_log_are_printed_as_they_are(tmp_path: Path) -> None:
    log(tmp_path, "ledger", *(f"line {number}" for number in range(30)))
    assert run("logs", "ledger", "-n", "2", "--data-dir", str(tmp_path)) == (0, "line 28\nline 29\n")
    assert len(run("logs", "Ledger", "--data-dir", str(tmp_path))[1].splitlines()) == 20
    assert run("logs", "ledger", "-n", "0", "--data-dir", str(tmp_path)) == (0, "")


def test_a_log_holds_no_controls_when_it_is_printed(tmp_path: Path) -> None:
    log(tmp_path, "ledger", "a\x1b]0;title\x07b\u202ec\td")
    said = run("logs", "ledger", "--data-dir", str(tmp_path))
    assert said == (0, "a\\x1b]0;title\\x07b\\u202ec\td\n")


def test_several_logs_are_told_apart(tmp_path: Path) -> None:
    log(tmp_path, "ledger", "a")
    log(tmp_path, "up", "b [x]")
    assert run("logs", "--data-dir", str(tmp_path)) == (0, "ledger | a\nup     | b [x]\n")


def test_a_log_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    status, said = run("logs", "ledger", "--data-dir", str(tmp_path))
    assert (status, "There are no logs" in said) == (1, True)
    log(tmp_path, "up", "b")
    status, said = run("logs", "ledger", "--data-dir", str(tmp_path))
    assert (status, "There are: up." in said) == (1, True)


def test_a_follower_waits_for_whole_lines_and_starts_again_with_a_new_run(tmp_path: Path) -> None:
    path = log(tmp_path, "up", "old")
    follower = Follower(path)
    assert follower.newest(5) == ["old"]
    with path.open("a") as file:
        file.write("new\nhal")
    assert list(follower.new_lines()) == ["new"]
    with path.open("a") as file:
        file.write("f\n")
    assert list(follower.new_lines()) == ["half"]
    path.replace(path.with_name("up.log.1"))
    log(tmp_path, "up", "of the next run")
    assert list(follower.new_lines()) == ["of the next run"]


def test_the_newest_lines_of_a_long_log_are_whole(tmp_path: Path) -> None:
    path = log(tmp_path, "up", *("x" * 1000 + f" {number}" for number in range(200)))
    assert [line[-4:] for line in Follower(path).newest(100)] == [f"{n: 4}" for n in range(100, 200)]


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
