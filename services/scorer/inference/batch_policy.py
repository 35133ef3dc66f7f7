"""Departure of a batch: it is full, or its first request has waited long enough. Pure.

`batching` does the waiting.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request of a number of rows, and when it came, on a monotonic clock."""

    rows: int
    arrived_s: float


@dataclass(frozen=True, slots=True)
class Batch:
    """Requests that may run together, oldest first, and how many rows the network takes at once."""

    rows_max: int
    waiting: Sequence[Waiting]


@dataclass(frozen=True, slots=True)
class BatchStep(Generic[Key]):
    """Run the first ``count`` requests of a bucket now."""

    key: Key
    count: int


def next_step(
    buckets: Mapping[Key, Batch], now_s: float, wait_max_s: float, *, closing: bool = False
) -> BatchStep[Key] | float | None:
    """Return what to run now, or the seconds until something is due, or None when nothing waits.

    A bucket is due when it is full or its first request has waited ``wait_max_s``; all are due when
    ``closing``. Of several due buckets, the bucket whose first request came first goes, so that a busy
    network cannot starve another.
    """
    filled = {key: bucket for key, bucket in buckets.items() if bucket.waiting}
    if not filled:
        return None
    arrived = {key: bucket.waiting[0].arrived_s for key, bucket in filled.items()}
    due = [
        key
        for key, bucket in filled.items()
        if closing or now_s - arrived[key] >= wait_max_s or _is_full(bucket)
    ]
    if not due:
        return max(0.0, min(arrived.values()) + wait_max_s - now_s)
    key = min(due, key=lambda bucket: arrived[bucket])
    return BatchStep(key, fitting(filled[key]))


def fitting(bucket: Batch) -> int:
    """Return how many requests from the front fit into one batch; the first always does."""
    rows = 0
    for count, waiting in enumerate(bucket.waiting):
        rows += waiting.rows
        if rows > bucket.rows_max and count:
            return count
    return len(bucket.waiting)


def batch_sizes(rows_max: int) -> tuple[int, ...]:
    """Return the sizes that batches are filled up to: powers of two, and the largest.

    A device plans anew for every shape it has not seen; with few sizes all can be warmed up.
    """
    sizes = [1]
    while 2 * sizes[-1] < rows_max:
        sizes.append(2 * sizes[-1])
    return tuple(dict.fromkeys((*sizes, max(1, rows_max))))


def filled_up(rows: int, rows_max: int) -> int:
    """Return the smallest of the batch sizes that holds the rows, or the rows where none does."""
    return next((size for size in batch_sizes(rows_max) if size >= rows), rows)


def _is_full(bucket: Batch) -> bool:
    return sum(waiting.rows for waiting in bucket.waiting) >= bucket.rows_max
