"""Schedule of webhook attempts, and the meaning of an answer."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final

from services.delivery.domain.messages import AttemptReason

MINUTE_S: Final = 60
HOUR_S: Final = 3600
SCHEDULE_S: Final = (
    0,
    5,
    5 * MINUTE_S,
    30 * MINUTE_S,
    2 * HOUR_S,
    5 * HOUR_S,
    10 * HOUR_S,
    14 * HOUR_S,
    20 * HOUR_S,
    24 * HOUR_S,
)
"""Seconds between an attempt and the one before it. Source: Standard Webhooks 1.0.0, delivery schedule."""

JITTER_PPM: Final = 200_000
"""An attempt is later than its schedule by less than this part of the wait, and never earlier.

At 20 % the default waits keep their order (20 h with jitter ends before 24 h).
"""

RETRY_AFTER_MAX_S: Final = 24 * HOUR_S
"""The longest Retry-After that is honoured: the longest wait of the schedule."""

_THROTTLES: Final = frozenset({429, 502, 503, 504})
"""Answers whose Retry-After is honoured. Source: Standard Webhooks 1.0.0 (429, 502, 504), RFC 9110 (503)."""

_GONE: Final = 410
_DISABLING: Final = frozenset({AttemptReason.gone, AttemptReason.endpoint_disabled})


def reason_of_status(status: int) -> AttemptReason:
    """Read an HTTP status: only 2xx is success, a redirect is a failure, 410 switches the endpoint off."""
    if 200 <= status < 300:
        return AttemptReason.accepted
    if 300 <= status < 400:
        return AttemptReason.redirected
    if status == _GONE:
        return AttemptReason.gone
    if status in _THROTTLES:
        return AttemptReason.throttled
    return AttemptReason.server_error if status >= 500 else AttemptReason.refused


def disables_endpoint(reason: AttemptReason) -> bool:
    """Return whether the endpoint gets nothing more after this."""
    return reason in _DISABLING


def jitter_ppm(delivery_id: str, number: int) -> int:
    """Derive the jitter of an attempt in [0, JITTER_PPM): the same attempt always gets the same."""
    digest = hashlib.sha256(f"{delivery_id}:{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % JITTER_PPM


def wait_s(
    schedule_s: tuple[int, ...],
    step: int,
    *,
    delivery_id: str,
    number: int,
    retry_after_s: int = 0,
) -> float | None:
    """Return the seconds until attempt ``number``, the ``step``-th of its schedule from 0; None when spent."""
    if step >= len(schedule_s):
        return None
    scheduled = schedule_s[step] * (1_000_000 + jitter_ppm(delivery_id, number)) / 1_000_000
    return max(scheduled, float(min(retry_after_s, RETRY_AFTER_MAX_S)))


def next_at(
    now: datetime,
    schedule_s: tuple[int, ...],
    step: int,
    *,
    delivery_id: str,
    number: int,
    retry_after_s: int = 0,
) -> datetime | None:
    """Return the time of attempt ``number``, or None when the schedule is spent."""
    seconds = wait_s(schedule_s, step, delivery_id=delivery_id, number=number, retry_after_s=retry_after_s)
    return None if seconds is None else now + timedelta(seconds=seconds)
