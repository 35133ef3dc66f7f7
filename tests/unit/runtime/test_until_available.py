"""The one loop that waits at the start for what does not answer yet."""

from __future__ import annotations

import pytest

from winnow.contracts.errors import Unavailable
from winnow.runtime.backoff import until_available


async def test_a_call_is_repeated_with_growing_waits_until_it_succeeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []

    async def rest(wait_s: float) -> None:
        waits.append(wait_s)

    monkeypatch.setattr("winnow.runtime.backoff.asyncio.sleep", rest)

    async def call() -> str:
        if len(waits) < 8:
            raise Unavailable("away")
        return "there"

    assert await until_available(call, "a-1", part="store") == "there"
    assert waits[0] <= 0.1
    assert waits[:5] == sorted(waits[:5])
    assert max(waits) <= 2.0


async def test_the_last_error_is_raised_when_the_time_is_over() -> None:
    async def call() -> None:
        raise Unavailable("away")

    with pytest.raises(Unavailable, match="away"):
        await until_available(call, "a-1", 0.0)


async def test_an_error_that_is_not_the_projects_is_not_repeated() -> None:
    async def call() -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await until_available(call, "a-1")
