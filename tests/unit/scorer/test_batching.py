"""Requests share batches and each gets its own rows back, whatever happens to its neighbours."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.scorer.inference.batching import Batcher, BatcherStopped

POISON = -1.0
ROWS_MAX = 4


class Doubling:
    """A network that doubles, keeps the shapes it saw, and fails on one number; ``gate`` holds it."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def run(self, _: str, inputs: tuple[NDArray[Any], ...]) -> list[NDArray[Any]]:
        self.entered.set()
        assert self.gate.wait(10)
        self.shapes.append(inputs[0].shape)
        if (inputs[0] == POISON).any():
            raise RuntimeError("poison")
        return [inputs[0] * 2, inputs[0][:, :1]]


@pytest.fixture
def network() -> Doubling:
    return Doubling()


@pytest.fixture
async def batcher(network: Doubling) -> AsyncIterator[Batcher]:
    batcher = Batcher(network.run, lambda _: ROWS_MAX, 0.01, queue_max=8)
    batcher.start()
    yield batcher
    network.gate.set()
    await batcher.stop()


def row(value: float, width: int = 3, rows: int = 1) -> tuple[NDArray[Any], ...]:
    return (np.full((rows, width), value, np.float32),)


async def held(network: Doubling, batcher: Batcher) -> asyncio.Task[list[NDArray[Any]]]:
    """Keep the device busy with a request, until the gate opens."""
    network.gate.clear()
    network.entered.clear()
    task = asyncio.create_task(batcher.submit("net", row(0)))
    assert await asyncio.to_thread(network.entered.wait, 10)
    return task


async def test_each_caller_gets_its_rows(network: Doubling, batcher: Batcher) -> None:
    first = await held(network, batcher)
    tasks = [asyncio.create_task(batcher.submit("net", row(value))) for value in range(1, 5)]
    await asyncio.sleep(0)
    network.gate.set()
    for value, outputs in enumerate(await asyncio.gather(first, *tasks)):
        np.testing.assert_array_equal(outputs[0], np.full((1, 3), 2 * value))
        assert outputs[1].shape == (1, 1)
    assert network.shapes == [(1, 3), (4, 3)]
    assert (batcher.batches_count, batcher.rows_count) == (2, 5)


async def test_shapes_and_networks_do_not_mix_and_rows_are_filled_up(
    network: Doubling, batcher: Batcher
) -> None:
    first = await held(network, batcher)
    sent = [row(1), row(2, rows=2), row(3, width=5)]
    tasks = [asyncio.create_task(batcher.submit("net", array)) for array in sent]
    tasks.append(asyncio.create_task(batcher.submit("other", row(4))))
    await asyncio.sleep(0)
    network.gate.set()
    outputs = await asyncio.gather(*tasks)
    await first
    assert [output[0].shape for output in outputs] == [(1, 3), (2, 3), (1, 5), (1, 3)]
    assert sorted(network.shapes) == [(1, 3), (1, 3), (1, 5), (4, 3)]


async def test_a_failing_request_fails_alone(network: Doubling, batcher: Batcher) -> None:
    first = await held(network, batcher)
    tasks = [asyncio.create_task(batcher.submit("net", row(value))) for value in (1, POISON, 2)]
    await asyncio.sleep(0)
    network.gate.set()
    first_answer, poison, second_answer = await asyncio.gather(*tasks, return_exceptions=True)
    await first
    assert isinstance(poison, RuntimeError)
    assert not isinstance(first_answer, BaseException)
    assert not isinstance(second_answer, BaseException)
    assert (first_answer[0][0, 0], second_answer[0][0, 0]) == (2, 4)


async def test_a_cancelled_request_leaves_its_batch_and_its_place(
    network: Doubling, batcher: Batcher
) -> None:
    first = await held(network, batcher)
    tasks = [asyncio.create_task(batcher.submit("net", row(value))) for value in range(1, 13)]
    await asyncio.sleep(0)
    for task in tasks[:10]:
        task.cancel()
    await asyncio.gather(*tasks[:10], return_exceptions=True)
    network.gate.set()
    outputs = await asyncio.gather(first, *tasks[10:])
    assert [output[0][0, 0] for output in outputs] == [0, 22, 24]
    assert network.shapes == [(1, 3), (2, 3)]
    later = [batcher.submit("net", row(value)) for value in range(20)]
    assert len(await asyncio.gather(*later)) == 20


async def test_one_that_is_cancelled_while_it_runs_costs_nobody(network: Doubling, batcher: Batcher) -> None:
    first = await held(network, batcher)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    network.gate.set()
    assert (await batcher.submit("net", row(5)))[0][0, 0] == 10


async def test_the_queue_is_bounded(network: Doubling, batcher: Batcher) -> None:
    first = await held(network, batcher)
    tasks = [asyncio.create_task(batcher.submit("net", row(value))) for value in range(1, 13)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert sum(len(bucket) for bucket in batcher._buckets.values()) == 8
    network.gate.set()
    assert [answer[0][0, 0] for answer in await asyncio.gather(first, *tasks)] == [2 * n for n in range(13)]


async def test_a_stop_answers_who_waits_and_refuses_who_comes(network: Doubling, batcher: Batcher) -> None:
    first = await held(network, batcher)
    task = asyncio.create_task(batcher.submit("net", row(1)))
    await asyncio.sleep(0)
    stopping = asyncio.create_task(batcher.stop())
    await asyncio.sleep(0)
    with pytest.raises(BatcherStopped):
        await batcher.submit("net", row(2))
    network.gate.set()
    await stopping
    assert [answer[0][0, 0] for answer in await asyncio.gather(first, task)] == [0, 2]


async def test_more_rows_than_the_network_takes_are_refused(batcher: Batcher) -> None:
    with pytest.raises(ValueError, match="1 to 4 rows"):
        await batcher.submit("net", row(1, rows=5))
