"""The pace of reading from a broker that polls: at once while an order is under way, seldom at rest, in gulps under load.

Such a broker does not wake a fetch that waits: it reads, sleeps and reads again, so a fetch costs even when nothing comes.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import Any, Final

UNDER_WAY_S: Final = 1.0
"""After a record was read or sent, more is expected for this long."""
BUSY_RECORDS_PER_S: Final = 100
"""From this rate on, records come in batches anyway, and larger batches cost less."""
BUSY_REST_S: Final = 0.05
_RATE_OVER_S: Final = 0.5


class Pace:
    """The rest before the next fetch, by what came lately. Times are seconds of any one monotonic clock."""

    def __init__(self, rest_s: float) -> None:
        """Rest for at most ``rest_s``."""
        self._rest_s = rest_s
        self._expected_until_s = -math.inf
        self._records = 0.0
        self._counted_at_s = 0.0

    def note(self, records_count: int, now_s: float) -> None:
        """Count records that were read."""
        if records_count:
            self._records = self._lately(now_s) + records_count
            self._counted_at_s = now_s
            self.expect(now_s)

    def expect(self, now_s: float) -> None:
        """Note that something was sent, which may be answered."""
        self._expected_until_s = now_s + UNDER_WAY_S

    def rest_s(self, now_s: float) -> float:
        """Return how long to rest from now on."""
        if self._lately(now_s) >= BUSY_RECORDS_PER_S * _RATE_OVER_S:
            return min(self._rest_s, BUSY_REST_S)
        return 0.0 if now_s < self._expected_until_s else self._rest_s

    def _lately(self, now_s: float) -> float:
        return self._records * math.exp((self._counted_at_s - now_s) / _RATE_OVER_S)


class PacedReader:
    """Fetches of one consumer: its partitions are paused but while a batch is asked for; those in ``held`` stay so."""

    def __init__(self, rest_s: float) -> None:
        """Rest between fetches for at most ``rest_s``."""
        self._pace = Pace(rest_s)
        self._expected = asyncio.Event()
        self.held: set[Any] = set()

    def expect(self) -> None:
        """End a rest: something was sent, which may be answered."""
        self._pace.expect(asyncio.get_running_loop().time())
        self._expected.set()

    async def getmany(self, consumer: Any, *, timeout_ms: int, max_records: int | None) -> Any:
        """Rest, then return what the consumer gets within ``timeout_ms``, by partition."""
        time = asyncio.get_running_loop().time
        await self._rest(self._pace.rest_s(time()))
        consumer.resume(*(consumer.assignment() - self.held))
        try:
            records = await consumer.getmany(timeout_ms=timeout_ms, max_records=max_records)
        finally:
            consumer.pause(*consumer.assignment())
        self._pace.note(sum(map(len, records.values())), time())
        return records

    async def _rest(self, rest_s: float) -> None:
        self._expected.clear()
        if 0 < rest_s <= BUSY_REST_S:
            # Under load a message of our own does not end the rest.
            await asyncio.sleep(rest_s)
        elif rest_s:
            with suppress(TimeoutError):
                async with asyncio.timeout(rest_s):
                    await self._expected.wait()
