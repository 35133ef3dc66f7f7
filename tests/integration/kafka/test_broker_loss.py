"""Nodes of three die, freeze and are replaced under load: what was acknowledged stays, in order, and is handled."""

from __future__ import annotations

import asyncio
import os
import time

from tests.integration.kafka.load import KEYS
from tests.integration.kafka.trial import Trial
from tests.support.eventually import eventually

OUTAGE_S = float(os.environ.get("WINNOW_TEST_OUTAGE_S", "3"))
"""Seconds for which two of three stay dead; longer than the producer's request timeout (30 s) in the long version."""


async def test_kill_one_of_three(trial: Trial) -> None:
    leader = await trial.leader()
    killed_s = time.monotonic()
    trial.cluster.kill(leader)
    await trial.recovered("one_dead", killed_s)
    trial.cluster.launch(leader)
    await asyncio.to_thread(trial.cluster.wait_listening, leader)
    await trial.judge()


async def test_kill_two_of_three(trial: Trial) -> None:
    first, second = [number for number in trial.cluster.numbers if number != await trial.leader()]
    trial.cluster.kill(first)
    trial.cluster.kill(second)
    killed_s = time.monotonic()
    # One copy is no majority: nothing that is sent from here on may count as written.
    before = trial.writer.written
    known = set(trial.writer.bus_acknowledged)
    await eventually(lambda: time.monotonic() > killed_s + OUTAGE_S, within_s=OUTAGE_S + 30, every_s=0.2)
    assert trial.writer.written > before
    late = {written for written in trial.writer.bus_acknowledged - known if written[1] * len(KEYS) >= before}
    assert late == set(), "acknowledged by one copy alone"
    trial.figures["two_dead_s"] = round(time.monotonic() - killed_s, 1)
    returned_s = time.monotonic()
    trial.cluster.launch(first)
    trial.cluster.launch(second)
    await trial.recovered("two_back", returned_s, within_s=150)
    await trial.judge()


async def test_freeze_a_leader(trial: Trial) -> None:
    leader = await trial.leader()
    trial.cluster.freeze(leader)
    frozen_s = time.monotonic()
    await trial.recovered("frozen", frozen_s, within_s=150)
    trial.cluster.thaw(leader)
    await trial.judge()


async def test_rolling_restart(trial: Trial) -> None:
    began_s = time.monotonic()
    for number in trial.cluster.numbers:
        await asyncio.to_thread(trial.cluster.terminate, number)
        trial.cluster.launch(number)
        await asyncio.to_thread(trial.cluster.wait_listening, number)
    trial.figures["rolling_s"] = round(time.monotonic() - began_s, 1)
    await trial.recovered("rolled", time.monotonic())
    await trial.judge()
