"""Waiting for the object store: what a task needs of it is asked for again until the task ends, not given up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, TypeVar

from winnow.contracts.errors import Unavailable
from winnow.runtime.clock import Clock

T = TypeVar("T")
_FIRST_PAUSE_S: Final = 0.2
_PAUSE_GROWTH: Final = 3.0
_PAUSE_MAX_S: Final = 10.0


async def retry_until_available(
    ask: Callable[[], Awaitable[T]], *, unwanted: asyncio.Event, deadline_at: datetime, clock: Clock
) -> T:
    """Ask, and ask again after a growing pause while the answer is Unavailable.

    Raises Unavailable once the deadline has passed or nobody wants the answer any more. ``ask`` is called anew each
    time: what it holds between two calls is all that waiting costs.
    """
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            return await ask()
        except Unavailable:
            left_s = (deadline_at - clock.now()).total_seconds()
            await sleep_or_set(unwanted, max(0.0, min(pause_s, left_s)))
            if unwanted.is_set() or clock.now() >= deadline_at:
                raise
        pause_s = min(_PAUSE_MAX_S, pause_s * _PAUSE_GROWTH)


async def sleep_or_set(event: asyncio.Event, wait_s: float) -> None:
    """Sleep, but no longer than until ``event`` is set."""
    try:
        async with asyncio.timeout(wait_s):
            await event.wait()
    except TimeoutError:
        return
