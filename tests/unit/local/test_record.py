"""The record says how each process is, and whether whoever wrote it still runs."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from winnow.local.record import RECORD_FILE, Exit, LineRecord, ProcessState, Recorder

ROUTER = ProcessState(
    name="router",
    kind="service",
    state="restarting",
    pid=0,
    restarts=2,
    since="2026-01-01T00:00:00.000+00:00",
    address="http://127.0.0.1:1",
    log="/logs/router.log",
    last_exit=Exit(-9, "SIGKILL", "2026-01-01T00:00:00.000+00:00"),
)


def test_what_is_written_is_read_and_for_its_owner_only(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.begin()
    recorder.tell("router", "starting")
    recorder.show([ROUTER, replace(ROUTER, name="scorer", last_exit=None)])
    record = LineRecord.read(tmp_path)
    assert record.is_live
    assert record.pid == os.getpid()
    assert record.steps == {"router": "starting"}
    assert record.processes == (ROUTER, replace(ROUTER, name="scorer", last_exit=None))
    assert (tmp_path / RECORD_FILE).stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == [RECORD_FILE]


def test_nothing_is_written_before_the_directory_is_held(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.tell("router", "waiting")
    recorder.show([ROUTER])
    assert LineRecord.read(tmp_path) == LineRecord()
    recorder.begin()
    assert LineRecord.read(tmp_path).processes == (ROUTER,)


def test_after_the_end_everything_is_stopped(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.begin()
    recorder.tell("router", "ready")
    recorder.show([replace(ROUTER, pid=12)])
    recorder.end()
    recorder.tell("router", "ready")
    record = LineRecord.read(tmp_path)
    assert record.steps == {"router": "stopped"}
    assert record.processes == (replace(ROUTER, state="stopped"),)


def test_the_record_of_a_process_that_is_gone_is_not_live(tmp_path: Path) -> None:
    Recorder(tmp_path).begin()
    LineRecord(pid=os.getpid(), pid_started_at="another time").write(tmp_path)
    assert not LineRecord.read(tmp_path).is_live
    assert not LineRecord().is_live


def test_fields_of_a_later_version_are_passed_over_and_damage_is_said(tmp_path: Path) -> None:
    path = tmp_path / RECORD_FILE
    path.write_text('{"pid": 1, "mood": "good", "processes": []}')
    assert LineRecord.read(tmp_path) == LineRecord(pid=1)
    path.write_text("{")
    with pytest.raises(ValueError, match="Expecting"):
        LineRecord.read(tmp_path)
