"""One call for all who wait: what is asked while a call runs goes together into the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

RequestT = TypeVar("RequestT")
ResultT = TypeVar("ResultT")


class Coalescer(Generic[RequestT, ResultT]):
    """Asks for many at once, one call at a time."""

    def __init__(self, call: Callable[[Sequence[RequestT]], Awaitable[ResultT]]) -> None:
        """Ask with ``call``."""
        self._call = call
        self._waiting: list[RequestT] = []
        self._running: asyncio.Task[ResultT] | None = None
        self._next: asyncio.Task[ResultT] | None = None

    async def ask(self, question: RequestT) -> ResultT:
        """Return the answer of the call to all of them, and raise what it raised.

        The call starts after this was asked, so it sees everything that was written before.
        """
        self._waiting.append(question)
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._after(self._running))
        return await asyncio.shield(self._next)

    async def _after(self, running: asyncio.Task[ResultT] | None) -> ResultT:
        if running is not None:
            await asyncio.wait([running])
        asked, self._waiting = self._waiting, []
        self._running, self._next = self._next, None
        return await self._call(asked)
