"""Named points of the code where a test may kill the process, to see what a crash just there leaves behind.

Points are off unless ``WINNOW_CRASH_AT=name[:nth]`` is in the environment when the process starts. The
process then sends itself SIGKILL the ``nth`` time (first, if left out) it reaches that point. No handler
runs, nothing is flushed. Off, a point costs one call and one comparison.
"""

from __future__ import annotations

import os
import signal
from typing import Final

SETTING: Final = "WINNOW_CRASH_AT"
POINTS: Final = frozenset(
    {
        "after_follow_up",  # decided, with what follows in the same block; nothing stored
        "before_insert",  # decided, nothing stored
        "after_insert",  # the block is stored, its messages are not on the bus
        "after_publish",  # the bus has the messages, the block is not marked so
        "before_commit",  # decided, stored and published; the consumer's offset is not committed
        "after_commit",
        "before_provider_call",  # the attempt is planned, the provider knows nothing
        "after_provider_call",  # the provider took the order, its reference is not stored
        "before_candidates_kept",  # the provider is done, its pictures are not stored
        "after_candidates_kept",  # the pictures are stored, the journal knows nothing of them
        "before_outputs_stored",  # the pictures are finished, the selection may not be committed yet
        "after_outputs_stored",  # outputs are stored and noted, the journal knows nothing of them
        "before_webhook",
        "after_webhook",  # the receiver has answered, the answer is not stored
    }
)


def parse(text: str) -> tuple[str, int]:
    """Read ``name[:nth]``; raises ValueError for an unknown name or a number below 1. No text, no point."""
    name, _, nth = text.partition(":")
    if not name:
        return "", 0
    left = int(nth or 1)
    if name not in POINTS or left < 1:
        msg = f"{SETTING}: give one of {', '.join(sorted(POINTS))}, with :number from 1 on"
        raise ValueError(msg)
    return name, left


# Read once: a setting of tests alone, which no service has in its settings.
_armed, _left = parse(os.environ.get(SETTING, ""))  # noqa: TID251


def reach(point: str) -> None:
    """Pass a point; kills the process when it was asked to die here and it has passed often enough."""
    global _left  # noqa: PLW0603 (one process, one countdown)
    if point != _armed:
        return
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
