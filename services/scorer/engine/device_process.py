"""The handle of the process that owns the device: started before the scoring processes, replaced when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import tempfile
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from services.scorer.engine import device_server
from services.scorer.inference.device_protocol import Device, DeviceConfiguration, DeviceStarted
from winnow.contracts.errors import Unavailable
from winnow.runtime.log import get_logger

_log = get_logger(__name__)
_STOP_WAIT_S: Final = 5.0


class DeviceUnusable(Exception):  # noqa: N818 (the noun of the problem)
    """The demanded device cannot be used; the text says what is there and what to do."""


class DeviceProcess:
    """Starts, watches and replaces the process. All scoring processes reach it at ``address``."""

    def __init__(self, order: DeviceConfiguration) -> None:
        """Take what it is to do; nothing starts before ``start``."""
        self._order = order
        self._folder = tempfile.TemporaryDirectory(prefix="winnow-device-")
        self.address = str(Path(self._folder.name) / "line")
        self._process: BaseProcess | None = None
        self._lock = asyncio.Lock()
        self._is_warm = False
        self._reviving: asyncio.Task[None] | None = None
        self.starts_count = 0

    async def start(self, wanted: frozenset[str]) -> DeviceStarted:
        """Load and warm up what the dimensions ``wanted`` need; raises DeviceUnusable.

        Where ``auto`` finds no device, none runs and ``cpu`` is told.
        """
        self._order = replace(self._order, wanted=wanted)
        # From the loop's own thread, for the process ends with the thread that started it.
        context = multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(
            target=device_server.serve, args=(self._order, self.address, sender), daemon=True
        )
        process.start()
        sender.close()
        self._process = process
        try:
            started: DeviceStarted = await asyncio.to_thread(receiver.recv)
        except EOFError:
            process.join(_STOP_WAIT_S)
            raise DeviceUnusable(
                f"the process of the device {self._order.device} ended with {process.exitcode} before it was ready"
            ) from None
        finally:
            receiver.close()
        if started.failure:
            raise DeviceUnusable(
                f"WINNOW_SCORER_DEVICE={self._order.device} cannot be had: {started.failure}"
            )
        self.starts_count += 1
        self._is_warm = True
        _log.info(
            "scorer.device.started",
            asked=self._order.device,
            taken=started.device,
            networks=started.networks_count,
            warm_up_runs=started.warm_up_runs,
            not_taken=list(started.tried),
        )
        if started.device == Device.cpu:
            self._process = None
        return started

    def is_ready(self) -> bool:
        """Return whether the process runs and every network in it is warm."""
        return self._is_warm and self._process is not None and self._process.is_alive()

    def revive(self) -> None:
        """Begin to replace a process that ran, unless that is under way; a failure is logged, and tried again when asked."""
        is_under_way = self._lock.locked() or (self._reviving is not None and not self._reviving.done())
        if self.starts_count and not is_under_way:
            self._reviving = asyncio.create_task(self._revive(), name="device")

    async def replace(self, starts_seen: int) -> None:
        """Start it again, unless that happened since ``starts_seen``; raises Unavailable when it does not start."""
        async with self._lock:
            if self.starts_count != starts_seen:
                return
            _log.error("scorer.device.lost")
            await asyncio.to_thread(self._end)
            try:
                await self.start(self._order.wanted)
            except DeviceUnusable as error:
                _log.error("scorer.device.unusable", reason=str(error))
                raise Unavailable("the scorer's device does not run") from error

    def stop(self) -> None:
        """End the process and remove its socket."""
        if self._reviving is not None:
            self._reviving.cancel()
        self._end()
        self._folder.cleanup()

    async def _revive(self) -> None:
        with contextlib.suppress(Unavailable):
            await self.replace(self.starts_count)

    def _end(self) -> None:
        self._is_warm = False
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        process.join(_STOP_WAIT_S)
        if process.is_alive():
            process.kill()
            process.join()
