"""Shards that wait: this build cannot read an event of their journal, so nothing is decided for them here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from winnow.runtime import metrics
from winnow.runtime.clock import Clock
from winnow.runtime.log import get_logger

_log = get_logger(__name__)
RETRY_FIRST_S: Final = 1.0
RETRY_MAX_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class _Hold:
    reason: str
    wait_s: float
    retry_at_s: float


class Holds:
    """The held shards of a journal; each is tried again after a wait that doubles up to ``RETRY_MAX_S``."""

    def __init__(self, clock: Clock) -> None:
        """Start with no shard held."""
        self._clock = clock
        self._holds: dict[str, _Hold] = {}

    def hold(self, shard: str, reason: str) -> float:
        """Hold a shard, or hold it for longer, and return how long, in seconds; the log names each reason once."""
        before = self._holds.get(shard)
        if before is None:
            metrics.JOURNAL_HELD.inc()
        if before is None or before.reason != reason:
            _log.error("journal.shard.held", shard=shard, reason=reason)
        wait_s = min(before.wait_s * 2, RETRY_MAX_S) if before else RETRY_FIRST_S
        self._holds[shard] = _Hold(reason, wait_s, self._clock.monotonic_s() + wait_s)
        return wait_s

    def release(self, shard: str) -> None:
        """Hold a shard no more: it was loaded, or belongs to another process."""
        if self._holds.pop(shard, None) is not None:
            metrics.JOURNAL_HELD.dec()
            _log.info("journal.shard.released", shard=shard)

    def waits_s(self, shard: str) -> float:
        """Return how long a shard still waits, in seconds; 0 for one that may be loaded."""
        hold = self._holds.get(shard)
        return max(0.0, hold.retry_at_s - self._clock.monotonic_s()) if hold else 0.0

    def next_in_s(self) -> float | None:
        """Return when the next shard is due to be tried again, in seconds from now; None when none is held."""
        waits = [self.waits_s(shard) for shard in self._holds]
        return min(waits) if waits else None

    def due(self) -> list[str]:
        """Return the held shards that are due to be tried again."""
        return [shard for shard in self._holds if self.waits_s(shard) == 0]

    def reasons(self) -> Mapping[str, str]:
        """Return why each held shard waits, by shard."""
        return {shard: hold.reason for shard, hold in self._holds.items()}
