"""A device gives the verdicts of the ordinary path: the same pictures by both ways, on every device that is here.

The device's path always runs on the CPU provider; where ONNX Runtime lists CUDA, it runs there too.
"""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import pytest

from services.scorer.clients.rules import CelRules
from services.scorer.dimensions import DIMENSIONS
from services.scorer.domain import judge, values_of
from services.scorer.domain.measures import Measured
from services.scorer.domain.references import References
from services.scorer.engine.measure import measure_bytes
from services.scorer.engine.pool import ScoringPool
from services.scorer.inference.batching import Batcher
from services.scorer.inference.device_client import DeviceClient
from services.scorer.inference.device_networks import load_networks
from services.scorer.inference.device_protocol import Device, DeviceConfiguration
from services.scorer.inference.network import Network
from services.scorer.vision import classic
from services.scorer.vision.frame import ClassicFrame, TensorFrame, fits_tensors
from services.scorer.vision.model_set import (
    IDENTITY,
    NSFW,
    SALIENCY,
    TEXT_DETECTOR,
    TEXT_READER,
    TIER_ONE,
    Models,
)
from simulators.photos.studio import Subject
from simulators.renderer import RenderRequest
from tests.support.opencv import pixels
from tests.support.profiles import built_in_profiles
from tests.support.renderer import shared_renderer
from tests.unit.scorer.loaded import loaded_models
from tests.unit.scorer.photographs import (
    blurred,
    exposed,
    jpeg,
    moved,
    noisy,
    photograph,
    png,
    portrait,
)

DEVICES = [
    Device.batched_cpu,
    *([Device.cuda] if "CUDAExecutionProvider" in onnxruntime.get_available_providers() else []),
]
RELATIVE, ABSOLUTE = 1e-3, 2e-4
"""Of raw values, which are rounded to three or four digits: a sum in another order may round the other way."""
SUMS_RELATIVE = 1e-5

RULES = CelRules()
PROFILES = built_in_profiles().all()
WANTED = frozenset[str]().union(*(profile.wanted() for profile in PROFILES))
REFERENCE = References(reference=png(portrait()))


@cache
def pictures() -> dict[str, bytes]:
    """Return the test set: photographs, the same degraded by a known amount, and simulated orders."""
    person = portrait()
    found = {
        "coffee": jpeg(photograph("coffee.png"), 92),
        "portrait": png(person),
        "odd size": png(np.ascontiguousarray(person[3:, :-7])),
        "blurred": png(blurred(person, 2)),
        "moved": png(moved(person, 11)),
        "noisy": png(noisy(person, 12)),
        "blurred and noisy": png(noisy(blurred(person, 2), 8)),
        "dark": png(exposed(person, -3)),
        "bright": png(exposed(person, 2)),
        "blocky": jpeg(person, 15),
        "small": png(pixels(cv2.resize(person, (96, 96), interpolation=cv2.INTER_AREA))),
        "wider than tensors are": jpeg(
            pixels(cv2.resize(person, (1600, 400), interpolation=cv2.INTER_CUBIC)), 90
        ),
        "higher, and looked at more thinly": jpeg(
            pixels(cv2.resize(person, (600, 1100), interpolation=cv2.INTER_CUBIC)), 60
        ),
        "no picture": b"no picture",
    }
    for index, subject in enumerate((Subject.headshot, Subject.product)):
        order = RenderRequest((7, index), subject, (512, 640), "jpeg")
        found[f"simulated {subject}"] = shared_renderer().render(order).content
    return found


def wanted_of(name: str) -> frozenset[str]:
    """Return what is measured: everything, but what takes as long as all the rest together in two pictures only."""
    slow = {TEXT_DETECTOR, TEXT_READER, SALIENCY}
    if name in {"coffee", "simulated product"}:
        return WANTED
    return frozenset(wanted_name for wanted_name in WANTED if not slow & set(DIMENSIONS[wanted_name].needs))


def verdicts(measured: Measured) -> dict[str, object]:
    """Return what every profile decides, dimension by dimension."""
    found: dict[str, object] = {}
    for profile in PROFILES:
        values = values_of(profile, measured)
        outcomes = {rule.name: RULES.evaluate(rule.expression, values) for rule in profile.rules}
        score = judge(profile, measured, outcomes)
        each = {result.name: (result.status, result.passed) for result in score.dimensions}
        found[f"{profile.name}@{profile.version}"] = (score.passed, score.reasons, each)
    return found


@pytest.mark.timeout(600)
@pytest.mark.parametrize("device", DEVICES)
async def test_no_verdict_depends_on_the_device(models_dir: Path, models: Models, device: Device) -> None:
    order = DeviceConfiguration(device, str(models_dir), batch_rows_max=2, warm_up_sizes=())
    pool = ScoringPool(2, models_dir=str(models_dir), device=order)
    contents = pictures()
    try:
        await pool.start(WANTED)
        measured = await asyncio.gather(
            *(pool.measure(picture, wanted_of(name), REFERENCE) for name, picture in contents.items())
        )
        assert pool._device is not None
        line = DeviceClient(pool._device.address)
        counts, _ = await asyncio.to_thread(line.ask, {"count": True}, ())
        line.close()
    finally:
        pool.stop()
    assert counts["rows"] > len(contents)
    flipped, apart = [], []
    for (name, content), found in zip(contents.items(), measured, strict=True):
        ordinary = measure_bytes(content, wanted_of(name), models, REFERENCE.reference)
        if verdicts(found) != verdicts(ordinary):
            flipped.append(name)
        expected = ordinary.by_name()
        for dimension, measurement in found.by_name().items():
            raw = expected[dimension].raw
            if measurement.raw != (raw if raw is None else pytest.approx(raw, rel=RELATIVE, abs=ABSOLUTE)):
                apart.append((name, dimension, measurement.raw, raw))
    assert not flipped
    assert not apart


@pytest.mark.parametrize("device", DEVICES)
async def test_frames_in_batches_give_the_sums_of_single_pictures(models_dir: Path, device: Device) -> None:
    networks = load_networks(device, [models_dir], rows_max=8, only={TIER_ONE})
    (key,) = networks.loaded
    batcher = Batcher(networks.run, networks.rows_max, 0.05)
    batcher.start()
    planes = [
        cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE)
        for picture in pictures().values()
    ]
    greys = [pixels(frame) for frame in planes if frame is not None and fits_tensors(pixels(frame))]
    answers = await asyncio.gather(*(batcher.submit(key, (plane[None],)) for plane in greys))
    await batcher.stop()
    assert batcher.batches_count < len(greys)
    for grey, answer in zip(greys, answers, strict=True):
        tensors, classical = TensorFrame(Answered(answer), grey), ClassicFrame(grey)
        half = classic.halved(grey)
        seen, expected = (method.noise(half, classic.halved(half)) for method in (tensors, classical))
        for name in ("fine", "coarse", "flat"):
            assert getattr(seen, name) == pytest.approx(getattr(expected, name), rel=SUMS_RELATIVE, abs=1e-4)
        assert tensors.blockiness() == pytest.approx(classical.blockiness(), rel=SUMS_RELATIVE)
        for sigma in (0.0, expected.flat, 6.0):
            from_tensors, other = tensors.sharpness(sigma), classical.sharpness(sigma)
            assert from_tensors.method == other.method
            assert from_tensors.ratio == pytest.approx(other.ratio, rel=1e-4, abs=1e-5)
        small = classic.small_copy(grey)
        exposed_here, exposed_there = (
            method.exposure(bright_share_max=0.4, dark_share_max=0.75, small=small)
            for method in (tensors, classical)
        )
        assert exposed_here.highlight == exposed_there.highlight
        for name in ("overrun", "mean", "dark_share", "bright_share"):
            there = pytest.approx(getattr(exposed_there, name), rel=SUMS_RELATIVE, abs=1e-6)
            assert getattr(exposed_here, name) == there


class Answered(Network):
    """A network that has run already."""

    def __init__(self, answer: list[Any]) -> None:
        self._answer = answer

    def run(self, *_: object, **__: object) -> list[Any]:
        return self._answer


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", [IDENTITY, NSFW])
def test_a_network_says_the_same_in_any_batch(models_dir: Path, device: Device, name: str) -> None:
    networks = load_networks(device, [models_dir], rows_max=8, only={name})
    (loaded,) = networks.loaded.values()
    spec = loaded.entry.input
    person = portrait()[:, :, ::-1]
    crops = [np.ascontiguousarray(person[at : at + 300, at : at + 300]) for at in range(0, 200, 28)]
    together = loaded.run([loaded_models().network(name).feed(crops)])[0]
    ordinary = loaded_models().network(name)
    assert spec.height is not None
    for crop, found in zip(crops, together, strict=True):
        np.testing.assert_allclose(found, ordinary.see(crop), atol=1e-4, rtol=1e-3)


def test_every_dimension_of_the_profiles_was_compared() -> None:
    assert set(DIMENSIONS) >= WANTED
    assert {"sharpness", "blockiness", "noise", "exposure", "nsfw", "identity_distance"} <= WANTED
