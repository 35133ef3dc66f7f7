"""Consumers come and go every few seconds under load: all is handled, and no commit passes what was not."""

from __future__ import annotations

import asyncio
import os
import time

from tests.integration.kafka.trial import Trial

STORM_S = float(os.environ.get("WINNOW_TEST_STORM_S", "18"))
_EVERY_S = 3.0


async def test_rebalance_storm(trial: Trial) -> None:
    # A batch takes long enough to be in hand when its partition is taken away.
    trial.readers.handle_s = 0.002
    began_s = time.monotonic()
    turns = 0
    while (next_s := began_s + turns * _EVERY_S) < began_s + STORM_S:
        await asyncio.sleep(max(0.0, next_s - time.monotonic()))
        turns += 1
        if turns % 2:
            await trial.readers.add()
        else:
            await trial.readers.remove()
        trial.healthy()
    trial.figures |= {"storm_s": STORM_S, "turns": turns}
    await trial.recovered("storm", time.monotonic())
    await trial.judge()
