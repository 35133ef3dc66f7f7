"""The process that owns the device: it alone holds sessions there, for scoring processes on a local socket.

It sees arrays of pixels and tokens, never an encoded picture. It therefore runs without the scoring
processes' memory limit, which no device driver could live under.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Final

from services.scorer.inference.batch_policy import batch_sizes
from services.scorer.inference.device_protocol import Device, DeviceConfiguration, DeviceStarted

if TYPE_CHECKING:
    from services.scorer.inference.batching import Batcher
    from services.scorer.inference.device_networks import DeviceNetworks
    from services.scorer.inference.framing import Arrays, Head

_DIE_WITH_PARENT: Final = 1  # PR_SET_PDEATHSIG
_DEVICE_BROKEN: Final = 70


def serve(order: DeviceConfiguration, address: str, started: Connection) -> None:
    """Load, warm up, report once over ``started``, then serve at ``address`` until the process is ended."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Of all NVIDIA libraries: no reduced precision, so that the device gives the verdicts that the CPU gives.
    os.putenv("NVIDIA_TF32_OVERRIDE", "0")
    networks, report = _prepare(order)
    if networks is None:
        started.send(report)
        return
    asyncio.run(_serve(networks, order, address, started, report))


def _prepare(order: DeviceConfiguration) -> tuple[DeviceNetworks | None, DeviceStarted]:
    from services.scorer.inference.device_networks import load_networks
    from services.scorer.inference.manifest import BUILT, ManifestInvalid
    from services.scorer.inference.providers import ProviderUnusable, candidates

    wanted = order.device
    directories = [Path(order.models_dir) if order.models_dir else BUILT]
    if order.mounted_models_dir:
        directories.append(Path(order.mounted_models_dir))
    tried: list[str] = []
    for device in candidates(wanted):
        try:
            networks = load_networks(
                device, directories, order.batch_rows_max, cache_dir=order.cache_dir, only=_needed(order)
            )
            runs = networks.warm_up(order.warm_up_sizes)
        except ManifestInvalid as error:
            return None, DeviceStarted(failure=str(error))
        except ProviderUnusable as error:
            tried.append(f"{device}: {error}")
        except Exception as error:  # noqa: BLE001 (whatever the driver raises, the parent must learn of it)
            tried.append(f"{device}: the warm-up failed with {type(error).__name__}: {error}")
        else:
            return networks, DeviceStarted(device, len(networks.loaded), runs, tuple(tried))
    if wanted in {Device.auto, Device.cpu}:
        return None, DeviceStarted(tried=tuple(tried))
    return None, DeviceStarted(tried=tuple(tried), failure="; ".join(tried))


def _needed(order: DeviceConfiguration) -> frozenset[str]:
    from services.scorer.dimensions import DIMENSIONS
    from services.scorer.vision.model_set import IMAGE_LABELS, LABELS, TIER_ONE

    known = [DIMENSIONS[name] for name in order.wanted if name in DIMENSIONS]
    measures = {TIER_ONE} if order.takes_measures else set[str]()
    names = {name for dimension in known for name in dimension.needs} | measures
    return frozenset(names | {IMAGE_LABELS} if LABELS in names else names)


async def _serve(
    networks: DeviceNetworks,
    order: DeviceConfiguration,
    address: str,
    started: Connection,
    report: DeviceStarted,
) -> None:
    from services.scorer.inference.batching import Batcher
    from services.scorer.inference.framing import STREAM_LIMIT

    batcher = Batcher(networks.run, networks.rows_max, order.batch_wait_s)
    batcher.start()
    desk = _Desk(networks, batcher)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(address)  # noqa: PTH108 (what a process that was killed left)
    server = await asyncio.start_unix_server(desk.serve, address, limit=STREAM_LIMIT)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    started.send(report)
    await stop.wait()
    server.close()
    await batcher.stop()


class _Desk:
    """Answers one scoring process a connection."""

    def __init__(self, networks: DeviceNetworks, batcher: Batcher) -> None:
        self._networks, self._batcher = networks, batcher

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests until the other end closes; what it still waited for is taken out of its batch."""
        from services.scorer.inference.framing import FrameInvalid, packed, receive_async

        try:
            while True:
                head, arrays = await receive_async(reader)
                work = asyncio.create_task(self._answer(head, arrays))
                gone = asyncio.create_task(reader.read(1))
                await asyncio.wait([work, gone], return_when=asyncio.FIRST_COMPLETED)
                if gone.done() and not work.done():
                    work.cancel()
                    return
                gone.cancel()
                await asyncio.gather(gone, return_exceptions=True)
                answer, outputs = work.result()
                writer.writelines(packed(answer, outputs))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, FrameInvalid, asyncio.CancelledError):
            # Cancelled only when the process ends, and then no one waits for this task.
            return
        finally:
            writer.close()

    async def _answer(self, head: Head, arrays: Arrays) -> tuple[Head, Arrays]:
        if "open" in head:
            return self._opened(str(head["open"])), ()
        if "count" in head:
            return {"batches": self._batcher.batches_count, "rows": self._batcher.rows_count}, ()
        key = str(head.get("run"))
        try:
            return {}, tuple(await self._batcher.submit(key, arrays))
        except Exception as error:  # noqa: BLE001 (the caller learns of it in words)
            await self._prove_alive(key)
            return {"refused": f"{type(error).__name__} on the device"}, ()

    def _opened(self, key: str) -> Head:
        found = self._networks.loaded.get(key)
        if found is None:
            return {"missing": self._networks.missing.get(key, "")}
        return {
            "rows_max": found.rows_max,
            "input_names": found.runner.input_names,
            "metadata": dict(found.runner.metadata),
        }

    async def _prove_alive(self, key: str) -> None:
        """End the process when the network no longer runs on what it was warmed up with: the device is broken."""
        found = self._networks.loaded.get(key)
        if found is None:
            return
        try:
            await self._batcher.submit(key, found.blanks(batch_sizes(found.rows_max)[0]))
        except Exception:  # noqa: BLE001
            os._exit(_DEVICE_BROKEN)
