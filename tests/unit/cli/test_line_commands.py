"""The status of the line on this machine, without a line."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.cli.line_commands import free_port, probe, process, record, run
from winnow.cli.line_access import LineAccess
from winnow.cli.line_state import read_state
from winnow.local.stack import EmbeddedStack


def test_the_state_is_that_of_the_stack(tmp_path: Path) -> None:
    EmbeddedStack(tmp_path).keep(ports={"api": 1}, pid=7)
    assert read_state(tmp_path) == EmbeddedStack(tmp_path).state() == {"ports": {"api": 1}, "pid": 7}
    assert read_state(tmp_path / "nothing") == {}


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
