"""The pace of reading from a broker that polls: at once while few orders are under way, seldom at rest, in gulps under load.

Such a broker does not wake a fetch that waits: it reads, sleeps and reads again, so a fetch costs even when nothing comes.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

UNDER_WAY_S: Final = 1.0
"""After a record was read or sent, more is expected for this long."""
BUSY_RECORDS_PER_S: Final = 100
"""From this rate on, records come in batches anyway, and larger batches cost less."""
BUSY_REQUESTS: Final = 8
"""From so many requests within a second on, orders overlap; for fewer, each record is read at once."""
BUSY_REST_S: Final = 0.05
_RATE_OVER_S: Final = 0.5
_REQUESTS_OVER_S: Final = 1.0


class Pace:
    """The rest before the next fetch, by what came lately. Times are seconds of any one monotonic clock."""

    def __init__(self, rest_s: float) -> None:
        """Rest for at most ``rest_s``."""
        self._rest_s = rest_s
        self._expected_until_s = -math.inf
        self._records = 0.0
        self._counted_at_s = 0.0
        self._requests: dict[str, float] = {}

    def note(self, records_count: int, now_s: float) -> None:
        """Count records that were read."""
        if records_count:
            self._records = self._lately(now_s) + records_count
            self._counted_at_s = now_s
            self.expect(now_s)

    def note_requests(self, requests: Iterable[str], now_s: float) -> None:
        """Note the requests that records belong to."""
        for request in requests:
            self._requests.pop(request, None)
            self._requests[request] = now_s

    def expect(self, now_s: float) -> None:
        """Note that something was sent, which may be answered."""
        self._expected_until_s = now_s + UNDER_WAY_S

    def is_at_rest(self, now_s: float) -> bool:
        """Return whether nothing is expected."""
        return now_s >= self._expected_until_s

    def rest_s(self, now_s: float) -> float:
        """Return how long to rest from now on."""
        many = self._requests_lately(now_s) >= BUSY_REQUESTS
        if many or self._lately(now_s) >= BUSY_RECORDS_PER_S * _RATE_OVER_S:
            return min(self._rest_s, BUSY_REST_S)
        return self._rest_s if self.is_at_rest(now_s) else 0.0

    def _lately(self, now_s: float) -> float:
        return self._records * math.exp((self._counted_at_s - now_s) / _RATE_OVER_S)

    def _requests_lately(self, now_s: float) -> int:
        # A request that is seen again moves to the end.
        while self._requests and now_s - next(iter(self._requests.values())) >= _REQUESTS_OVER_S:
            del self._requests[next(iter(self._requests))]
        return len(self._requests)


class PacedReader:
    """Fetches of one consumer, whose partitions are paused while it rests; those in ``held`` stay so.

    The consumer fetches by itself, also between two calls, from every partition that is not paused.
    """

    def __init__(self, rest_s: float, fetch_wait_ms: int) -> None:
        """Rest between fetches for at most ``rest_s``; a fetch that finds nothing takes ``fetch_wait_ms``."""
        self._pace = Pace(rest_s)
        self._fetch_wait_ms = fetch_wait_ms
        self._expected = asyncio.Event()
        self._is_resting = False
        self.held: set[Any] = set()

    def expect(self) -> None:
        """End a rest: something was sent, which may be answered."""
        self._pace.expect(asyncio.get_running_loop().time())
        self._expected.set()

    def note_requests(self, requests: Iterable[str]) -> None:
        """Note the requests that records belong to."""
        self._pace.note_requests(requests, asyncio.get_running_loop().time())

    async def getmany(self, consumer: Any, *, timeout_ms: int, max_records: int | None) -> Any:
        """Rest, then return what the consumer gets within ``timeout_ms``, by partition; at rest by a single fetch."""
        time = asyncio.get_running_loop().time
        if self._is_resting:
            await self._rest(self._pace.rest_s(time()))
        consumer.resume(*(consumer.paused() - self.held))
        if self._pace.is_at_rest(time()):
            timeout_ms = min(timeout_ms, self._fetch_wait_ms)
        records = await consumer.getmany(timeout_ms=timeout_ms, max_records=max_records)
        self._pace.note(sum(map(len, records.values())), time())
        self._is_resting = self._pace.rest_s(time()) > 0
        if self._is_resting:
            consumer.pause(*consumer.assignment())
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
