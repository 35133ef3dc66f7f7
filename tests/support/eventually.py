"""Waits for something to become true, without sleeping longer than needed."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(
    check: Callable[[], Awaitable[T | None]], within_s: float = 10.0, every_s: float = 0.05
) -> T: ...


@overload
async def eventually(check: Callable[[], T | None], within_s: float = 10.0, every_s: float = 0.05) -> T: ...


async def eventually(check: Callable[[], Any], within_s: float = 10.0, every_s: float = 0.05) -> Any:
    """Return the result of ``check`` once it is truthy and raises nothing; else raise its last failure."""
    deadline_s = time.monotonic() + within_s
    while True:
        failure: BaseException | None = None
        try:
            result = check()
            value = await result if inspect.isawaitable(result) else result
            if value:
                return value
        except AssertionError as error:
            failure = error
        if time.monotonic() > deadline_s:
            raise failure or AssertionError(f"not true within {within_s:g} s")
        await asyncio.sleep(every_s)


def eventually_sync(check: Callable[[], T | None], within_s: float = 10.0, every_s: float = 0.05) -> T:
    """Do the same without an event loop; ``check`` is a plain function."""
    deadline_s = time.monotonic() + within_s
    while True:
        failure: BaseException | None = None
        try:
            value = check()
            if value:
                return value
        except AssertionError as error:
            failure = error
        if time.monotonic() > deadline_s:
            raise failure or AssertionError(f"not true within {within_s:g} s")
        time.sleep(every_s)
