"""Back-off of retries: waits that double up to a limit, spread by jitter that is derived and not drawn."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from winnow.contracts.errors import WinnowError
from winnow.runtime.log import get_logger

_log = get_logger(__name__)
T = TypeVar("T")


def jittered_s(wait_s: float, holder: str, attempt: int) -> float:
    """Return between half and all of a wait: always the same for a holder's attempt, another for another holder."""
    drawn = hashlib.blake2b(f"{holder}:{attempt}".encode(), digest_size=4).digest()
    return wait_s * (0.5 + int.from_bytes(drawn) / 2**33)


@dataclass(slots=True)
class Backoff:
    """The waits of one retry loop; ``holder`` names the process and the loop, so that those that failed together part."""

    holder: str
    first_s: float
    max_s: float
    attempt: int = 0

    def next_s(self) -> float:
        """Return how long to wait before the next attempt."""
        self.attempt += 1
        # A power without a bound would pass the range of a float after a thousand attempts.
        wait_s = min(self.max_s, self.first_s * 2.0 ** min(self.attempt - 1, 64))
        return jittered_s(wait_s, self.holder, self.attempt)

    def reset(self) -> None:
        """Begin anew after a success."""
        self.attempt = 0


async def until_available(
    call: Callable[[], Awaitable[T]], holder: str, within_s: float = 60.0, *, part: str = ""
) -> T:
    """Repeat a call that raises an error of the project, which is raised when the time is over; logs a named part."""
    loop, backoff = asyncio.get_running_loop(), Backoff(holder, 0.1, 2.0)
    ends_s = loop.time() + within_s
    while True:
        try:
            return await call()
        except WinnowError as error:
            if loop.time() >= ends_s:
                raise
            if part:
                _log.warning("service.start.waiting", part=part, why=error.detail)
        await asyncio.sleep(backoff.next_s())
