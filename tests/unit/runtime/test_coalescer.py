"""Questions asked while a call runs go into one next call, which starts afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from winnow.runtime.coalescer import Coalescer


class Called:
    """Answers with the number of the call, once it may; the calls named by ``failing`` fail."""

    def __init__(self, *failing: int) -> None:
        self.failing = failing
        self.asked: list[list[str]] = []
        self.may_answer = asyncio.Event()

    async def __call__(self, asked: Sequence[str]) -> int:
        self.asked.append(list(asked))
        number = len(self.asked)
        await self.may_answer.wait()
        if number in self.failing:
            msg = "no"
            raise ValueError(msg)
        return number


async def started(together: Coalescer[str, int], *names: str) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(together.ask(task)) for task in names]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_what_comes_meanwhile_shares_the_next_call() -> None:
    called = Called()
    together = Coalescer(called)
    first = await started(together, "a")
    later = await started(together, "b", "c")
    assert called.asked == [["a"]]
    called.may_answer.set()
    assert await asyncio.gather(*first, *later) == [1, 2, 2]
    assert called.asked == [["a"], ["b", "c"]]
    assert await together.ask("d") == 3


async def test_a_failure_is_that_of_its_own_call() -> None:
    called = Called(1)
    together = Coalescer(called)
    (first,) = await started(together, "a")
    (second,) = await started(together, "b")
    called.may_answer.set()
    with pytest.raises(ValueError, match="no"):
        await first
    assert await second == 2


async def test_one_who_leaves_takes_nobody_along() -> None:
    called = Called()
    together = Coalescer(called)
    leaving, staying = await started(together, "a", "b")
    leaving.cancel()
    called.may_answer.set()
    assert await staying == 1
    assert called.asked == [["a", "b"]]
