"""Benchmark of the scorer's device in batches of 1 to 256, and of a picture's time; names its provider.

Decoding and feeding are CPU seconds of one thread; transfer and networks are wall time, for a device's work
is on no CPU. Inputs are put on the device first (`to the device`), then networks run on what lies there, so
that both are seen apart; on the CPU provider the first is next to nothing. Frames of a megapixel take
memory: on the CPU their batches end at 16.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from services.scorer.engine.pool import ScoringPool
from services.scorer.engine.worker import keep_freed_memory
from services.scorer.inference.device_networks import Loaded, load_networks
from services.scorer.inference.device_protocol import Device, DeviceConfiguration
from services.scorer.inference.framing import receive, send
from services.scorer.inference.manifest import BUILT
from services.scorer.inference.providers import ProviderUnusable, candidates
from services.scorer.vision import classic
from services.scorer.vision.decode import decode
from services.scorer.vision.model_set import IDENTITY, NSFW, TIER_ONE, Models
from tests.bench.report import Report
from tests.bench.scorer import BUILT_IN_PROFILES, headshots, megapixels

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
FRAMES_ON_CPU_MAX = 16
ENOUGH_S = 1.0
RUNS_MAX = 20
Arrays = tuple[NDArray[Any], ...]


def best_of(do: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the least seconds of one call, over a second of calls and at least two: others' work only adds."""
    do()
    least, began = float("inf"), time.perf_counter()
    for runs in range(RUNS_MAX):
        started = clock()
        do()
        least = min(least, clock() - started)
        if runs and time.perf_counter() - began > ENOUGH_S:
            break
    return least


class OnDevice:
    """A network with its inputs on the device."""

    def __init__(self, loaded: Loaded, place: str) -> None:
        self._session, self._names, self._place = loaded.runner._session, loaded.runner.input_names, place

    def put(self, inputs: Arrays) -> list[onnxruntime.OrtValue]:
        return [onnxruntime.OrtValue.ortvalue_from_numpy(array, self._place, 0) for array in inputs]

    def run(self, values: list[onnxruntime.OrtValue]) -> list[NDArray[Any]]:
        binding = self._session.io_binding()
        for name, value in zip(self._names, values, strict=True):
            binding.bind_ortvalue_input(name, value)
        for output in self._session.get_outputs():
            binding.bind_output(output.name)
        self._session.run_with_iobinding(binding)
        found: list[NDArray[Any]] = binding.copy_outputs_to_cpu()
        return found


def over_the_line(arrays: Arrays) -> float:
    """Return the seconds that arrays take from one end of a local socket to the other."""
    here, there = socket.socketpair()

    def echo() -> None:
        while receive(there)[0].get("more"):
            send(there, {}, ())

    thread = threading.Thread(target=echo)
    thread.start()

    def once() -> None:
        send(here, {"more": True}, arrays)
        receive(here)

    seconds = best_of(once)
    send(here, {}, ())
    thread.join()
    here.close()
    there.close()
    return seconds


async def through_the_pool(contents: list[bytes], device: Device, processes: int) -> float:
    """Return pictures a second of the headshot profile, after one round that does not count."""
    wanted = BUILT_IN_PROFILES.get("headshot").wanted()
    order = DeviceConfiguration(device, batch_rows_max=2 * processes)
    pool = ScoringPool(processes, device=order)
    await pool.start(wanted)
    try:
        spent_s = 0.0
        for _ in range(2):
            started = time.perf_counter()
            await asyncio.gather(*(pool.measure(content, wanted) for content in contents))
            spent_s = time.perf_counter() - started
    finally:
        pool.stop()
    return len(contents) / spent_s


def found_device(asked: Device) -> Device:
    """Return the device to measure: the best that loads a network, else the CPU by the device's path."""
    for device in candidates(asked):
        try:
            load_networks(device, [BUILT], 1, only={NSFW})
        except ProviderUnusable as error:
            print(f"not measured: {error}")
        else:
            return device
    return Device.batched_cpu


def in_batches(
    report: Report, device: Device, inputs: dict[str, Arrays], batches: list[int]
) -> dict[str, float]:
    """Report each network by batch size; return its least seconds a picture."""
    networks = load_networks(device, [BUILT], max(batches), only=set(inputs))
    on_cpu = device is Device.batched_cpu
    least: dict[str, float] = {}
    for loaded in networks.loaded.values():
        name = loaded.entry.name
        provider = loaded.runner._session.get_providers()[0]
        there = OnDevice(loaded, "cpu" if on_cpu else "cuda")
        for batch in batches:
            if on_cpu and name == TIER_ONE and batch > FRAMES_ON_CPU_MAX:
                continue
            rows = tuple(np.concatenate([array] * batch) for array in inputs[name])
            values = there.put(rows)
            seconds = best_of(partial(there.run, values))
            label = f"{name}, batch of {batch}, on {provider}"
            report.add(label, batch / seconds, "images/s")
            if not on_cpu:
                report.add(f"{label}: to the device", batch / best_of(partial(there.put, rows)), "images/s")
            least[name] = min(least.get(name, float("inf")), seconds / batch)
    return least


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", type=Device, default=Device.auto)
    parser.add_argument("--batch-max", type=int, default=256)
    parser.add_argument("--processes", type=int, default=4)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    keep_freed_memory()
    device = found_device(given.device)
    report = Report("gpu")
    content = megapixels(90)[0]
    picture = decode(content)
    crop = np.ascontiguousarray(picture.rgb[:224, :224])
    chip = np.ascontiguousarray(picture.rgb[:150, :150])
    models = Models()
    feeds = {name: models.network(name) for name in (NSFW, IDENTITY)}
    inputs: dict[str, Arrays] = {
        TIER_ONE: (picture.grey[None],),
        NSFW: (feeds[NSFW].feed([crop]),),
        IDENTITY: (feeds[IDENTITY].feed([chip]),),
    }
    clock = time.process_time
    spent = {
        "decode, colours of 1 megapixel": best_of(lambda: decode(content), clock),
        "measures of the frame, one picture at a time": best_of(
            lambda: measured_here(models, picture.grey), clock
        ),
        "feed, both networks": best_of(
            lambda: [feeds[NSFW].feed([crop]), feeds[IDENTITY].feed([chip])], clock
        ),
        "transfer to the device's process, frame": over_the_line(inputs[TIER_ONE]),
        "transfer to the device's process, both networks": over_the_line((*inputs[NSFW], *inputs[IDENTITY])),
    }
    least = in_batches(report, device, inputs, [size for size in BATCHES if size <= given.batch_max])
    spent |= {f"{name} on {device}, best batch": seconds for name, seconds in least.items()}
    for name, seconds in spent.items():
        report.add(f"time of a picture: {name}", 1000 * seconds, "ms")
    people = headshots(6) * 4
    for how in (Device.cpu, device):
        rate = asyncio.run(through_the_pool(people, how, given.processes))
        report.add(f"headshot profile, {given.processes} processes, {how}", rate, "images/s of wall time")
    report.close()


def measured_here(models: Models, grey: NDArray[np.uint8]) -> None:
    """Take the measures that the tier-1 graph takes."""
    frame = models.frame(grey)
    half = classic.halved(grey)
    quarter = classic.halved(half)
    frame.sharpness(frame.noise(half, quarter).flat)
    frame.blockiness()
    frame.exposure(bright_share_max=0.4, dark_share_max=0.75, small=quarter)


if __name__ == "__main__":
    main()
