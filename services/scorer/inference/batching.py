"""Dynamic batching: requests of many pictures wait for each other and run on the device together."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.scorer.inference.batch_policy import Batch, BatchStep, Waiting, filled_up, next_step

Arrays = tuple[NDArray[Any], ...]
Run = Callable[[str, Arrays], list[NDArray[Any]]]
_Key = tuple[str, tuple[tuple[str, tuple[int, ...]], ...]]

QUEUE_MAX: Final = 1024


class BatcherStopped(Exception):  # noqa: N818 (the noun of the problem)
    """The batcher takes no more requests."""


@dataclass(eq=False, slots=True)
class _Request:
    inputs: Arrays
    waiting: Waiting
    answer: asyncio.Future[list[NDArray[Any]]]


class Batcher:
    """Runs requests of one network and one shape together, one batch at a time, on a thread of its own.

    Of each input and output the first axis counts rows. Batches are filled up to one of few sizes by repeating the last
    row, whose answers are dropped. A batch that fails is run again request by request, so that only the faulty one fails.
    """

    def __init__(
        self, run: Run, rows_max: Callable[[str], int], wait_max_s: float, *, queue_max: int = QUEUE_MAX
    ) -> None:
        """Take what runs a network on stacked inputs, and how many rows a network takes at once."""
        self._run, self._rows_max, self._wait_max_s = run, rows_max, wait_max_s
        self._buckets: dict[_Key, deque[_Request]] = {}
        self._room = asyncio.Semaphore(queue_max)
        self._wake = asyncio.Event()
        self._closing = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="device")
        self._serving: asyncio.Task[None] | None = None
        self.batches_count = 0
        self.rows_count = 0

    def start(self) -> None:
        """Begin to serve, on the running event loop."""
        self._serving = asyncio.create_task(self._serve(), name="batcher")

    async def submit(self, network: str, inputs: Arrays) -> list[NDArray[Any]]:
        """Return a network's outputs for the inputs' rows; waits while the queue is full.

        Raises what the network raises, and BatcherStopped. Cancelling takes a request that still waits out
        of its batch.
        """
        rows = len(inputs[0])
        if not 1 <= rows <= self._rows_max(network):
            raise ValueError(f"{network} takes 1 to {self._rows_max(network)} rows at once, not {rows}")
        await self._room.acquire()
        if self._closing or self._serving is None or self._serving.done():
            self._room.release()
            raise BatcherStopped
        loop = asyncio.get_running_loop()
        request = _Request(inputs, Waiting(rows, loop.time()), loop.create_future())
        key = (network, tuple((array.dtype.str, array.shape[1:]) for array in inputs))
        self._buckets.setdefault(key, deque()).append(request)
        self._wake.set()
        try:
            return await request.answer
        except asyncio.CancelledError:
            with contextlib.suppress(KeyError, ValueError):
                self._buckets[key].remove(request)
                self._room.release()
            raise

    async def stop(self) -> None:
        """Refuse new requests, answer those that wait, and end the thread."""
        self._closing = True
        self._wake.set()
        if self._serving is not None:
            await asyncio.gather(self._serving, return_exceptions=True)
        self._thread.shutdown(wait=True)

    async def _serve(self) -> None:
        try:
            while True:
                self._wake.clear()
                step = next_step(self._shown(), self._now_s(), self._wait_max_s, closing=self._closing)
                if isinstance(step, BatchStep):
                    await self._flush(step)
                elif step is None and self._closing:
                    return
                else:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(step):
                            await self._wake.wait()
        finally:
            self._refuse_all()

    async def _flush(self, step: BatchStep[_Key]) -> None:
        bucket = self._buckets[step.key]
        batch = [bucket.popleft() for _ in range(step.count)]
        if not bucket:
            del self._buckets[step.key]
        for _ in batch:
            self._room.release()
        try:
            await self._answer(step.key[0], batch)
        except asyncio.CancelledError:
            for request in batch:
                request.answer.cancel()
            raise

    async def _answer(self, network: str, batch: Sequence[_Request]) -> None:
        try:
            outputs = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._run_stacked, network, [request.inputs for request in batch]
            )
        except Exception as error:  # noqa: BLE001 (whatever it is, the callers wait for it)
            if len(batch) == 1:
                _settle(batch[0], error)
                return
            for request in batch:
                await self._answer(network, [request])
            return
        start = 0
        for request in batch:
            end = start + request.waiting.rows
            _settle(request, [output[start:end] for output in outputs])
            start = end

    def _run_stacked(self, network: str, requests: list[Arrays]) -> list[NDArray[Any]]:
        rows = sum(len(inputs[0]) for inputs in requests)
        size = filled_up(rows, self._rows_max(network))
        stacked = []
        for column in zip(*requests, strict=True):
            spare = [column[-1][-1:]] * (size - rows)
            parts = [*column, *spare]
            stacked.append(parts[0] if len(parts) == 1 else np.concatenate(parts))
        self.batches_count += 1
        self.rows_count += rows
        return self._run(network, tuple(stacked))

    def _shown(self) -> dict[_Key, Batch]:
        return {
            key: Batch(self._rows_max(key[0]), [request.waiting for request in bucket])
            for key, bucket in self._buckets.items()
        }

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()

    def _refuse_all(self) -> None:
        for bucket in self._buckets.values():
            for request in bucket:
                _settle(request, BatcherStopped())
                self._room.release()
        self._buckets.clear()


def _settle(request: _Request, outcome: list[NDArray[Any]] | Exception) -> None:
    if request.answer.done():
        return
    if isinstance(outcome, Exception):
        request.answer.set_exception(outcome)
    else:
        request.answer.set_result(outcome)
