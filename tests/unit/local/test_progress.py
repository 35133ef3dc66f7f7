"""Slow is told from hanging: whatever moves the log, the CPU time or the answer is waited for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.eventually import eventually_sync
from winnow.local.progress import CPU_STEP_S, Activity, Patience, cpu_s, log_bytes

# The child computes, its parent waits.
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])"


def test_patience_ends_when_nothing_moved_for_the_limit() -> None:
    patience = Patience(10.0, now_s=100.0)
    assert not patience.is_over(Activity(), 110.0)
    assert patience.is_over(Activity(), 110.1)
    assert patience.still_s(110.0) == 10.0


@pytest.mark.parametrize(
    "moved", [Activity(log_bytes=1), Activity(cpu_s=CPU_STEP_S), Activity(answer="kafka is missing")]
)
def test_each_kind_of_movement_begins_the_wait_anew(moved: Activity) -> None:
    patience = Patience(10.0, now_s=0.0)
    assert not patience.is_over(moved, 50.0)
    assert not patience.is_over(moved, 60.0)
    assert patience.is_over(moved, 60.1)


def test_the_little_cpu_time_of_a_waiting_loop_is_no_progress_but_it_adds_up() -> None:
    patience = Patience(10.0, now_s=0.0)
    assert not patience.is_over(Activity(cpu_s=CPU_STEP_S * 0.9), 9.0)
    assert patience.is_over(Activity(cpu_s=CPU_STEP_S * 0.99), 10.5)
    slow = Patience(10.0, now_s=0.0)
    assert not any(slow.is_over(Activity(cpu_s=second * CPU_STEP_S / 8), second) for second in range(200))


def test_the_time_of_a_child_that_vanished_is_not_waited_for_to_come_back() -> None:
    patience = Patience(10.0, now_s=0.0)
    assert not patience.is_over(Activity(cpu_s=30.0), 1.0)
    assert not patience.is_over(Activity(cpu_s=2.0), 2.0)
    assert not patience.is_over(Activity(cpu_s=2.0 + CPU_STEP_S), 11.0)
    assert not patience.is_over(Activity(cpu_s=2.0 + CPU_STEP_S), 20.0)


def test_the_cpu_time_of_children_counts() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], start_new_session=True) as parent:
        try:
            eventually_sync(lambda: cpu_s(parent.pid) > 1.0, within_s=25)
        finally:
            os.killpg(parent.pid, 9)
    assert cpu_s(parent.pid) == 0.0


def test_a_log_that_is_not_there_has_no_size(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    assert log_bytes(log) == 0
    log.write_text("up")
    assert log_bytes(log) == 2
