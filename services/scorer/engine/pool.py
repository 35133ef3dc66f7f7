"""A pool of scoring processes that outlives any picture: a crash costs only the picture that caused it."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Final, TypeVar

from services.scorer.domain.measures import Measured, could_not_measure
from services.scorer.domain.references import NO_REFERENCES, References
from services.scorer.engine import worker
from services.scorer.engine.device_process import DeviceProcess
from services.scorer.inference.device_protocol import Device, DeviceConfiguration, DeviceGone

T = TypeVar("T")

MEMORY_MAX_BYTES: Final = 4 * 1024**3
PICTURE_TIMEOUT_S: Final = 20.0
_QUEUED_PER_WORKER: Final = 2
_DEVICE_TRIES: Final = 3

Measure = Callable[[bytes, frozenset[str], References], Measured]


class ScoringPool:
    """Single-threaded processes that measure pictures, at most two waiting for each.

    When a process dies, every picture in flight is tried again, one at a time in a process of its own. Only
    the picture that kills a process again is given up. With a ``device`` the networks run in one more process
    that owns it. A picture that was in flight when that process died is measured again.
    """

    def __init__(
        self,
        processes: int,
        *,
        memory_max_bytes: int = MEMORY_MAX_BYTES,
        picture_timeout_s: float = PICTURE_TIMEOUT_S,
        models_dir: str = "",
        mounted_models_dir: str = "",
        measure: Measure = worker.measure,
        device: DeviceConfiguration | None = None,
    ) -> None:
        """Prepare the pool; no process starts before ``start``."""
        self._processes = processes
        self._arguments = (memory_max_bytes, picture_timeout_s, models_dir, mounted_models_dir)
        self._device = DeviceProcess(device) if device is not None and device.device != Device.cpu else None
        self._takes_measures = device is not None and device.takes_measures
        self._measure = measure
        self._slots = asyncio.Semaphore(processes * _QUEUED_PER_WORKER)
        self._executor: ProcessPoolExecutor | None = None
        self._alone: ProcessPoolExecutor | None = None
        self._alone_lock = asyncio.Lock()
        self.rebuilt_count = 0

    async def start(self, warm_up_with: frozenset[str]) -> bool:
        """Start and warm up every process, the device's first; tells whether all models were found.

        Raises DeviceUnusable when the demanded device cannot be had.
        """
        if self._device is not None and (await self._device.start(warm_up_with)).device == Device.cpu:
            self._device.stop()
            self._device = None
        executor = self._executor = self._new(self._processes)
        warmed = [
            asyncio.wrap_future(executor.submit(worker.warm_up, warm_up_picture(), warm_up_with))
            for _ in range(self._processes)
        ]
        return all(complete for _, complete in await asyncio.gather(*warmed))

    async def measure(
        self, content: bytes, wanted: frozenset[str], given: References = NO_REFERENCES
    ) -> Measured:
        """Measure an encoded picture; one that kills its process is ``failure_to_assess`` throughout.

        Raises Unavailable when there is a device and it does not run any more.
        """
        for _ in range(_DEVICE_TRIES):
            device = self._device
            starts_seen = device.starts_count if device is not None else 0
            try:
                return await self._measure_once(content, wanted, given)
            except DeviceGone:
                if device is None:
                    raise
                await device.replace(starts_seen)
        return could_not_measure(wanted, "device_died")

    async def _measure_once(self, content: bytes, wanted: frozenset[str], given: References) -> Measured:
        async with self._slots:
            executor = self._executor
            if executor is None:
                raise RuntimeError("the scoring pool has not started")
            try:
                return await asyncio.wrap_future(executor.submit(self._measure, content, wanted, given))
            except BrokenProcessPool:
                self._rebuild(executor)
        return await self._measure_alone(content, wanted, given)

    def is_started(self) -> bool:
        """Return whether the pool takes work."""
        return self._executor is not None

    def has_device(self) -> bool:
        """Return whether the networks can run; a device's process that died while nothing was asked is replaced."""
        if self._device is None or self._device.is_ready():
            return True
        self._device.revive()
        return False

    def stop(self) -> None:
        """End all processes; what is queued is dropped."""
        for executor in (self._executor, self._alone):
            if executor is not None:
                executor.shutdown(wait=False, cancel_futures=True)
        self._executor = self._alone = None
        if self._device is not None:
            self._device.stop()

    async def _measure_alone(self, content: bytes, wanted: frozenset[str], given: References) -> Measured:
        async with self._alone_lock:
            alone = self._alone = self._alone or self._new(1)
            try:
                return await asyncio.wrap_future(alone.submit(self._measure, content, wanted, given))
            except BrokenProcessPool:
                alone.shutdown(wait=False)
                self._alone = None
                return could_not_measure(wanted, "process_died")

    def _rebuild(self, broken: ProcessPoolExecutor) -> None:
        if self._executor is broken:
            with contextlib.suppress(OSError):
                broken.shutdown(wait=False)
            self._executor = self._new(self._processes)
            self.rebuilt_count += 1

    def _new(self, processes: int) -> ProcessPoolExecutor:
        address = self._device.address if self._device is not None else ""
        # Spawn, not fork: the parent has threads (gRPC, object store) that a fork would copy half.
        return ProcessPoolExecutor(
            processes,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=worker.prepare,
            initargs=(*self._arguments, address, bool(address) and self._takes_measures),
        )


def warm_up_picture() -> bytes:
    """Return a small valid PNG (64 x 64, a grey ramp), made with the standard library only."""
    rows = b"".join(b"\x00" + bytes((4 * x + y) % 256 for x in range(64)) for y in range(64))

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
