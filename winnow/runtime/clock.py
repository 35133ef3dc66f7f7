"""The one place that reads the time and randomness of the machine."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Time as an argument."""

    def now(self) -> datetime:
        """Return the time, aware and in UTC."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds that only grow, for durations."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the time, aware and in UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Return seconds that only grow, for durations."""
        return time.monotonic()


def random_bytes(count: int) -> bytes:
    """Return ``count`` unguessable bytes, for ids and secrets made at an edge."""
    return os.urandom(count)
