"""Restarts of a process that ended, and the end of restarts: a decision without clock or chance."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Patience of restarts.

    The nth failure in a row waits ``first_wait_s`` doubled n - 1 times, at most ``wait_max_s``, less a share of at
    most ``jitter_share``. A process that was ready for ``healthy_s`` begins anew. ``failures_max`` failures in a row
    are the end.
    """

    first_wait_s: float = 0.5
    wait_max_s: float = 15.0
    jitter_share: float = 0.2
    healthy_s: float = 60.0
    failures_max: int = 6


@dataclass(frozen=True, slots=True)
class Failure:
    """The end of a process that nobody asked to end, or one that made no progress and was killed for it.

    ``failures_before`` counts those in a row before it; ``ready_for_s`` is None when it was not ready at all.
    """

    name: str
    failures_before: int
    ready_for_s: float | None


@dataclass(frozen=True, slots=True)
class Restart:
    """Start it again after a wait; ``failures`` is the count to remember."""

    failures: int
    wait_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Leave it; ``failures`` in a row were too many."""

    failures: int


NO_RESTARTS: Final = RestartPolicy(failures_max=1)
"""The first failure is the last."""
_STEPS: Final = 1 << 16


def decide(policy: RestartPolicy, failure: Failure) -> Restart | GiveUp:
    """Decide about a process that failed; the same failure always gets the same answer."""
    was_healthy = failure.ready_for_s is not None and failure.ready_for_s >= policy.healthy_s
    failures = 1 if was_healthy else failure.failures_before + 1
    if failures >= policy.failures_max:
        return GiveUp(failures)
    # Beyond 2^32 the cap has long been reached.
    wait_s = min(policy.wait_max_s, policy.first_wait_s * 2 ** min(failures - 1, 32))
    return Restart(failures, wait_s * (1 - policy.jitter_share * _share(failure.name, failures)))


def _share(name: str, failures: int) -> float:
    """Spread processes that fail together over [0, 1) by their names."""
    return zlib.crc32(f"{name}:{failures}".encode()) % _STEPS / _STEPS
