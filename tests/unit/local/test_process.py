"""A process that does not start is named, with its last words."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from winnow.local.process import Managed, ServerDidNotStart, started_at, tail
from winnow.local.stack import EmbeddedStack, NoDiskSpace
from winnow.local.supervisor import ProcessSpec, Supervisor, stop_other


def script(tmp_path: Path, code: str) -> Managed:
    return Managed("Oracle", [sys.executable, "-c", code], log=tmp_path / "oracle.log")


def test_a_process_that_ends_is_named_with_its_last_lines(tmp_path: Path) -> None:
    process = script(tmp_path, "print('no such oracle', flush=True); raise SystemExit(3)")
    process.start()
    with pytest.raises(ServerDidNotStart) as refused:
        process.wait_ready(lambda: False, 20)
    assert "Oracle did not start: it ended with status 3" in str(refused.value)
    assert "no such oracle" in str(refused.value)


def test_a_process_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    process = script(tmp_path, "import time; time.sleep(60)")
    process.start()
    try:
        with pytest.raises(ServerDidNotStart, match="it was not ready within"):
            process.wait_ready(lambda: False, 0.2)
    finally:
        process.stop()
    assert process.exit_code is not None


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServerDidNotStart, match="Ghost did not start"):
        Managed("Ghost", [str(tmp_path / "ghost")], log=tmp_path / "ghost.log").start()


def test_a_process_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    process = script(tmp_path, code)
    process.start()
    process.wait_ready(lambda: "up" in tail(process.log), 20)
    process.stop(grace_s=0.2)
    assert process.exit_code == -9


def test_the_supervisor_says_which_process_ended(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    spec = ProcessSpec("oracle", [sys.executable, "-c", "raise SystemExit(1)"], "http://127.0.0.1:9/readyz")
    try:
        with pytest.raises(ServerDidNotStart, match="oracle did not start"):
            supervisor.start([[spec]])
    finally:
        supervisor.stop()


def test_a_reused_process_id_is_never_stopped() -> None:
    import os

    assert started_at(os.getpid()) is not None
    assert not stop_other({"pid": os.getpid(), "pid_started_at": "another time"})
    assert not stop_other({})


def test_too_little_space_is_said_before_anything_starts(tmp_path: Path) -> None:
    stack = EmbeddedStack(tmp_path / "data", disk_min_bytes=1 << 60)
    with pytest.raises(NoDiskSpace, match="not enough disk space"):
        stack.start()
    assert stack.processes == []
