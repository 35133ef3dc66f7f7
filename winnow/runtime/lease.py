"""A lease: a stored claim that its holder renews, and that ends by itself when the holder is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from winnow.contracts.errors import Unavailable
from winnow.runtime.clock import Clock
from winnow.runtime.log import get_logger

_log = get_logger(__name__)
LEASE_S: Final = 15.0
"""A holder that was killed counts for this long after its last renewal; clocks must agree far better than this."""
_RENEW_S: Final = 5.0


class LeaseRefused(Unavailable):
    """Another holder has, or had, what the lease is about."""


def lease_end_s(clock: Clock) -> float:
    """Return when a lease ends that is taken or renewed now."""
    return clock.now().timestamp() + LEASE_S


async def keep_renewed(renew: Callable[[], Awaitable[None]], failure_event: str) -> None:
    """Renew until cancelled, and continue while the store of the lease does not answer; raises LeaseRefused."""
    while True:
        await asyncio.sleep(_RENEW_S)
        try:
            await renew()
        except LeaseRefused:
            raise
        except Unavailable as error:
            _log.warning(failure_event, error=type(error.__cause__ or error).__name__)
