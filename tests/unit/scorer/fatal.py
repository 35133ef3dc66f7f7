"""A measure that does to its process what hostile pictures do; runs inside the pool's processes."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from services.scorer.domain import Measured
from services.scorer.domain.references import NO_REFERENCES, References
from services.scorer.engine import worker
from services.scorer.engine.pool import warm_up_picture

KILLS = b"kills"
HANGS = b"hangs"
EATS_MEMORY = b"eats memory"
KILLS_ONCE = b"kills once, then leaves this file: "


def measure(content: bytes, wanted: frozenset[str], references: References = NO_REFERENCES) -> Measured:
    if content == KILLS:
        os.kill(os.getpid(), signal.SIGKILL)
    if content.startswith(KILLS_ONCE):
        mark = Path(content.removeprefix(KILLS_ONCE).decode())
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return worker.measure(warm_up_picture(), wanted)
    if content == HANGS:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        while True:
            time.monotonic()
    if content == EATS_MEMORY:
        bytearray(64 * 1024**3)
    return worker.measure(content, wanted, references)
