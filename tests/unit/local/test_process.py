"""A process that does not start is named, with its last words."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from tests.support.eventually import eventually_sync
from winnow.local.ports import HOST, choose
from winnow.local.process import Managed, ServerDidNotStart, ServerEnded, started_at, tail
from winnow.local.stack import EmbeddedStack, NoDiskSpace
from winnow.local.supervisor import ProcessSpec, Supervisor, stop_other

PARENT = """
import signal, subprocess, sys, time
child = subprocess.Popen(["sleep", "60"])
def end(*_):
    try:
        child.wait(0.3)
        print("its child was hit", flush=True)
    except subprocess.TimeoutExpired:
        print("its child was let alone", flush=True)
    raise SystemExit(0)
signal.signal(signal.SIGTERM, end)
print(child.pid, flush=True)
time.sleep(60)
"""
READY = """
import http.server, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""


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


def test_a_process_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    process = script(tmp_path, "print('up', flush=True); import time; time.sleep(60)")
    thread = threading.Thread(target=process.start)
    thread.start()
    thread.join()
    try:
        process.wait_ready(lambda: "up" in tail(process.log), 20)
        process.check_running()
    finally:
        process.stop()
    with pytest.raises(ServerEnded, match="Oracle ended on its own: its status was -15"):
        process.check_running()


def test_only_the_process_is_asked_to_end_and_what_it_leaves_is_killed(tmp_path: Path) -> None:
    process = script(tmp_path, PARENT)
    process.start()
    process.wait_ready(lambda: bool(tail(process.log)), 20)
    child = int(tail(process.log)[0])
    assert started_at(child) is not None
    process.stop()
    assert tail(process.log)[-1] == "its child was let alone"
    eventually_sync(lambda: started_at(child) is None, within_s=5)


def test_a_log_holds_one_run_and_the_one_before_is_kept(tmp_path: Path) -> None:
    for said in ("first", "second"):
        process = script(tmp_path, f"print('{said}')")
        process.start()
        eventually_sync(partial(_says, process.log, said), within_s=20)
        process.stop()
    assert tail(tmp_path / "oracle.log.1") == ["first"]
    assert tail(tmp_path / "oracle.log") == ["second"]
    assert tail(tmp_path / "none.log") == []


def _says(log: Path, said: str) -> bool:
    return tail(log) == [said]


def test_foreign_settings_are_left_out_and_loopback_needs_no_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("NO_PROXY", "example.org")
    code = "import os; print(os.environ.get('AWS_PROFILE'), os.environ['NO_PROXY'], os.environ['OWN'])"
    argv = [sys.executable, "-c", code]
    process = Managed("Oracle", argv, log=tmp_path / "oracle.log", env={"OWN": "1"}, without=("AWS_",))
    process.start()
    eventually_sync(lambda: process.exit_code == 0)
    assert tail(process.log) == ["None example.org,127.0.0.1,localhost 1"]


def test_the_supervisor_needs_no_proxy_and_says_which_process_ended_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    port = choose(["oracle"], {})["oracle"]
    steps: list[tuple[str, str]] = []
    supervisor = Supervisor(tmp_path, lambda name, step: steps.append((name, step)))
    spec = ProcessSpec("oracle", [sys.executable, "-c", READY, str(port)], f"http://{HOST}:{port}/readyz")
    try:
        supervisor.start([[spec]])
        assert steps == [("oracle", "starting"), ("oracle", "ready")]
        supervisor.check()
        supervisor.processes[0].kill()
        with pytest.raises(ServerEnded, match="oracle ended on its own: its status was -9"):
            supervisor.check()
    finally:
        supervisor.stop()


def test_a_layer_is_given_up_as_soon_as_one_of_it_ends(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9/readyz"
    slow = ProcessSpec("slow", [sys.executable, "-c", "import time; time.sleep(60)"], nowhere)
    ends = ProcessSpec("ends", [sys.executable, "-c", "raise SystemExit(4)"], nowhere)
    supervisor = Supervisor(tmp_path)
    began_s = time.monotonic()
    try:
        with pytest.raises(ServerDidNotStart, match="ends did not start: it ended with status 4"):
            supervisor.start([[slow, ends]])
    finally:
        supervisor.stop()
    assert time.monotonic() - began_s < 20


@pytest.mark.parametrize("ignores", [False, True])
def test_the_stack_of_another_terminal_is_stopped_or_killed(ignores: bool) -> None:
    ignore = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " if ignores else ""
    code = f"{ignore}import time; print('up', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "up\n"
        state = {"pid": other.pid, "pid_started_at": started_at(other.pid)}
        assert stop_other(state, within_s=0.3 if ignores else 20)
        assert other.wait(5) == (-9 if ignores else -15)
        assert started_at(other.pid) is None
    assert not stop_other(state)


def test_a_reused_process_id_is_never_stopped() -> None:
    assert started_at(os.getpid()) is not None
    assert not stop_other({"pid": os.getpid(), "pid_started_at": "another time"})
    assert not stop_other({})


def test_too_little_space_is_said_before_anything_starts(tmp_path: Path) -> None:
    stack = EmbeddedStack(tmp_path / "data", disk_min_bytes=1 << 60)
    with pytest.raises(NoDiskSpace, match="not enough disk space"):
        stack.start()
    assert stack.processes == []
