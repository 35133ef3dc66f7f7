"""Answers that may be a little old: kept for a short time, asked for once however many want them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

from winnow.runtime.clock import Clock

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
_KEPT_MAX: Final = 10_000


class TtlCache(Generic[K, V]):
    """A cache with a lifetime; failures are not kept."""

    def __init__(self, clock: Clock, lifetime_s: float) -> None:
        """Keep each answer ``lifetime_s`` seconds."""
        self._clock = clock
        self._lifetime_s = lifetime_s
        self._kept: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._asking: dict[K, asyncio.Lock] = {}

    def peek(self, key: K) -> tuple[V] | None:
        """Return an answer that is still young, in a tuple so that an answer may be None."""
        found = self._kept.get(key)
        if found is None or self._clock.monotonic_s() - found[0] >= self._lifetime_s:
            return None
        return (found[1],)

    async def get(self, key: K, ask: Callable[[], Awaitable[V]]) -> V:
        """Return a young answer or ask for one; those who come meanwhile share it."""
        young = self.peek(key)
        if young is not None:
            return young[0]
        lock = self._asking.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                young = self.peek(key)
                if young is not None:
                    return young[0]
                answer = await ask()
                self.put(key, answer)
                return answer
        finally:
            if not lock.locked():
                self._asking.pop(key, None)

    def put(self, key: K, answer: V) -> None:
        """Keep an answer as of now."""
        self._kept[key] = (self._clock.monotonic_s(), answer)
        self._kept.move_to_end(key)
        while len(self._kept) > _KEPT_MAX:
            self._kept.popitem(last=False)

    def amend(self, key: K, answer: V) -> None:
        """Change an answer that is kept, without making it younger."""
        found = self._kept.get(key)
        if found is not None:
            self._kept[key] = (found[0], answer)

    def forget(self, key: K) -> None:
        """Drop an answer."""
        self._kept.pop(key, None)
