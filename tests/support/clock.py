"""The clock of the tests."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class SetClock:
    """Stands still until it is moved.

    With ``durations_pass``, the monotonic part runs all the same, so that a wait ends. With ``look_s``, each look at the
    monotonic part takes so long.
    """

    def __init__(
        self,
        at: datetime = datetime(2026, 1, 1, tzinfo=UTC),
        *,
        durations_pass: bool = False,
        look_s: float = 0.0,
    ) -> None:
        self.at = at
        self.durations_pass = durations_pass
        self._look_s = look_s
        self._looked_s = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic_s(self) -> float:
        self._looked_s += self._look_s
        return self.at.timestamp() + self._looked_s + (time.monotonic() if self.durations_pass else 0.0)

    def pass_s(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
