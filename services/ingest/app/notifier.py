"""Wakes those who wait for a change of something, inside this process."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Notifier:
    """Names that change, and who waits for them. Another process's changes are found by asking again."""

    def __init__(self) -> None:
        """Start with nobody waiting."""
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)

    def changed(self, names: Iterable[str]) -> None:
        """Wake everyone who waits for one of the names."""
        for name in names:
            for event in self._waiting.get(name, ()):
                event.set()

    def is_followed(self, names: Iterable[str]) -> bool:
        """Return whether somebody in this process waits for one of the names."""
        return bool(self._waiting) and not self._waiting.keys().isdisjoint(names)

    @contextmanager
    def on(self, name: str) -> Iterator[Subscription]:
        """Watch a name; a change between two waits is not missed."""
        event = asyncio.Event()
        self._waiting[name].add(event)
        try:
            yield Subscription(event)
        finally:
            self._waiting[name].discard(event)
            if not self._waiting[name]:
                del self._waiting[name]


class Subscription:
    """One who waits."""

    def __init__(self, event: asyncio.Event) -> None:
        """Wait for an event."""
        self._event = event

    async def wait(self, timeout_s: float) -> bool:
        """Wait for the next change; says whether it came in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True
