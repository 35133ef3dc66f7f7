"""A process that ends is started again, a slow one is waited for, a hanging or always ending one is given up."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.eventually import eventually_sync
from winnow.local.ports import HOST, choose
from winnow.local.process import Managed, ServerDidNotStart, started_at, tail
from winnow.local.record import ProcessState
from winnow.local.restarts import RestartPolicy
from winnow.local.supervised import Answer, State, Supervised
from winnow.local.supervisor import Care, ProcessSpec, Supervisor

QUICK = RestartPolicy(first_wait_s=0.05, wait_max_s=0.1, failures_max=3)
SERVE = """
import http.server, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""
LIMIT_S = 4.0
# Each takes longer than the limit; on a machine with a tenth of a core for each it moves often enough.
WRITES = f"""
import time
until = time.monotonic() + {1.2 * LIMIT_S}
while time.monotonic() < until:
    print("one more", flush=True)
    time.sleep(0.2)
"""
COMPUTES = f"""
import time
until = time.monotonic() + {1.2 * LIMIT_S}
while time.monotonic() < until:
    enough = time.process_time() + 0.1
    while time.process_time() < enough:
        pass
    time.sleep(0.1)
"""
COMPUTES_IN_A_CHILD = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", '''{COMPUTES}'''], check=True)
"""
NOWHERE = "http://127.0.0.1:9/readyz"


class Reports:
    """Reports of a supervisor."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str]] = []
        self.sentences: list[str] = []
        self.shown: dict[str, ProcessState] = {}

    def supervisor(self, logs: Path, care: Care) -> Supervisor:
        return Supervisor(
            logs,
            lambda name, step: self.steps.append((name, step)),
            care=care,
            notice=self.sentences.append,
            show=lambda states: self.shown.update({each.name: each for each in states}),
        )


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
def supervisor(tmp_path: Path, reports: Reports) -> Iterator[Supervisor]:
    made = reports.supervisor(tmp_path, Care(QUICK, no_progress_s=20.0))
    yield made
    made.stop()


def serving(name: str, before: str = "") -> ProcessSpec:
    port = choose([name], {})[name]
    return ProcessSpec(
        name,
        [sys.executable, "-c", before + SERVE, str(port)],
        f"http://{HOST}:{port}/readyz",
        is_needed=False,
    )


def ending(name: str, status: int = 7) -> ProcessSpec:
    argv = [sys.executable, "-c", f"print('no catalogue', flush=True); raise SystemExit({status})"]
    return ProcessSpec(name, argv, NOWHERE, is_needed=False)


def test_a_killed_process_comes_back_and_the_others_are_let_alone(
    supervisor: Supervisor, reports: Reports
) -> None:
    supervisor.start([[serving("router"), serving("ledger")]])
    supervisor.watch()
    first = {each.name: each.pid for each in supervisor.processes}
    os.kill(first["router"], signal.SIGKILL)
    eventually_sync(lambda: reports.shown["router"].restarts == 1, within_s=25)
    eventually_sync(lambda: reports.shown["router"].state == "ready", within_s=25)
    shown = reports.shown["router"]
    assert shown.pid not in {0, first["router"]}
    assert shown.last_exit is not None
    assert (shown.last_exit.status, shown.last_exit.signal) == (-9, "SIGKILL")
    assert reports.shown["ledger"].pid == first["ledger"]
    assert reports.shown["ledger"].restarts == 0
    assert [step for name, step in reports.steps if name == "router"] == ["starting", "ready"]
    assert "router ended on its own (SIGKILL); it is started again in 0." in reports.sentences[0]
    assert "router is ready again" in reports.sentences[1]
    supervisor.check()
    assert supervisor.given_up() == []


def test_what_ends_at_every_start_is_given_up_with_its_last_words_and_the_rest_goes_on(
    supervisor: Supervisor, reports: Reports
) -> None:
    supervisor.start([[ending("router"), serving("ledger")]])
    supervisor.watch()
    assert supervisor.given_up() == ["router"]
    steps = [step for name, step in reports.steps if name == "router"]
    assert steps == ["starting", "restarting", "starting", "restarting", "starting", "given up"]
    assert reports.shown["router"].state == "given up"
    assert reports.shown["router"].restarts == QUICK.failures_max - 1
    assert reports.shown["ledger"].state == "ready"
    last = reports.sentences[-1]
    assert "router is given up after 3 failures in a row; the rest goes on without it" in last
    assert "`winnow down`" in last
    assert "no catalogue" in last
    assert "router.log" in last
    with pytest.raises(ServerDidNotStart, match="router did not start: it ended with status 7"):
        supervisor.check()


def test_a_line_does_not_start_without_a_process_that_it_needs(tmp_path: Path, reports: Reports) -> None:
    supervisor = reports.supervisor(tmp_path, Care(QUICK))
    needed = ProcessSpec("ingest", ending("ingest").argv, NOWHERE)
    try:
        with pytest.raises(ServerDidNotStart, match="ingest did not start"):
            supervisor.start([[needed, serving("ledger")]])
    finally:
        supervisor.stop()


@pytest.mark.timeout(120)
def test_a_slow_process_is_waited_for_while_it_makes_progress(tmp_path: Path, reports: Reports) -> None:
    supervisor = reports.supervisor(tmp_path, Care(QUICK, no_progress_s=LIMIT_S))
    slow = {"log": WRITES, "cpu": COMPUTES, "child": COMPUTES_IN_A_CHILD}
    began_s = time.monotonic()
    try:
        supervisor.start([[serving(name, code) for name, code in slow.items()]])
        assert {each.name: (each.state, each.restarts) for each in reports.shown.values()} == dict.fromkeys(
            slow, ("ready", 0)
        )
        assert time.monotonic() - began_s > LIMIT_S
    finally:
        supervisor.stop()


def test_a_hanging_process_is_ended_and_named_with_its_log(tmp_path: Path) -> None:
    spec = ProcessSpec(
        "scorer",
        [sys.executable, "-c", "print('loading', flush=True); import time; time.sleep(120)"],
        NOWHERE,
    )
    supervisor = Supervisor(tmp_path, care=Care(no_progress_s=1.0))
    try:
        with pytest.raises(ServerDidNotStart) as refused:
            supervisor.start([[spec]])
        assert supervisor.processes[0].exit_code == -signal.SIGKILL
    finally:
        supervisor.stop()
    said = str(refused.value)
    assert "scorer did not start: it made no progress for 1 s" in said
    assert "WINNOW_LOCAL_NO_PROGRESS_S" in said
    assert f"{tmp_path / 'scorer.log'}" in said
    assert said.endswith("loading")


def test_a_server_is_started_again_only_when_what_it_needs_is_ready(tmp_path: Path, reports: Reports) -> None:
    supervisor = reports.supervisor(tmp_path, Care(QUICK))
    store_is_ready = [True]
    code = "print('up', flush=True); import time; time.sleep(120)"

    def server(name: str, needs: tuple[str, ...], is_ready: list[bool]) -> Supervised:
        process = Managed(name, [sys.executable, "-c", code], log=tmp_path / f"{name}.log")

        def probe() -> Answer:
            return Answer(is_ready[0] and tail(process.log) == ["up"])

        made = Supervised(process, probe, kind="server", needs=needs)
        made.start()
        made.wait_ready()
        return made

    store, bus = server("store", (), store_is_ready), server("bus", ("store",), [True])
    supervisor.adopt([store, bus])
    supervisor.watch()
    try:
        store_is_ready[0] = False
        for each in (store, bus):
            os.kill(each.process.pid, signal.SIGKILL)
        eventually_sync(lambda: store.restarts == 1 and store.state is State.starting, within_s=25)
        eventually_sync(lambda: bus.state is State.restarting, within_s=25)
        assert bus.restarts == 0
        store_is_ready[0] = True
        eventually_sync(lambda: bus.state is State.ready, within_s=25)
        assert (store.restarts, bus.restarts) == (1, 1)
    finally:
        supervisor.stop()
        for each in (store, bus):
            each.process.stop()


def test_nothing_is_started_again_after_the_stop(tmp_path: Path, reports: Reports) -> None:
    supervisor = reports.supervisor(tmp_path, Care(QUICK))
    supervisor.start([[serving("router")]])
    supervisor.watch()
    pid = supervisor.processes[0].pid
    supervisor.stop()
    assert started_at(pid) is None
    assert reports.shown["router"].state == "stopped"
    assert reports.shown["router"].pid == 0
    assert reports.shown["router"].restarts == 0
