"""The process that owns the device: same values, warm before ready, replaced when it dies."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import pytest_asyncio

from services.scorer.domain.references import References
from services.scorer.engine.device_process import DeviceUnusable
from services.scorer.engine.measure import measure_bytes
from services.scorer.engine.pool import ScoringPool
from services.scorer.inference.device_client import DeviceClient
from services.scorer.inference.device_networks import load_networks
from services.scorer.inference.device_protocol import Device, DeviceConfiguration, DeviceGone, DeviceRefused
from services.scorer.inference.manifest import read_manifest
from services.scorer.inference.models import ModelMissing
from services.scorer.vision.model_set import Models
from tests.support.eventually import eventually
from tests.unit.scorer.photographs import png
from tests.unit.scorer.towers import mount, plain
from winnow.contracts.errors import Unavailable

pytestmark = pytest.mark.timeout(120)
one_loop = pytest.mark.asyncio(loop_scope="module")

WANTED = frozenset({"prompt_alignment", "aesthetic", "content"})
PICTURES = [png(plain(*colour)) for colour in ((10, 60, 250), (250, 0, 30), (80, 90, 70), (1, 2, 3))]
GIVEN = References(prompt="a red picture")


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mount(tmp_path_factory.mktemp("mounted"))


def configured(mounted: Path, device: Device = Device.batched_cpu) -> DeviceConfiguration:
    return DeviceConfiguration(device, str(mounted / "none_built"), str(mounted), batch_rows_max=4)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pool(mounted: Path) -> AsyncIterator[ScoringPool]:
    configuration = configured(mounted)
    pool = ScoringPool(
        2,
        models_dir=configuration.models_dir,
        mounted_models_dir=configuration.mounted_models_dir,
        device=configuration,
    )
    assert not pool.has_device()
    await pool.start(WANTED)
    yield pool
    pool.stop()


def device_pid(pool: ScoringPool) -> int:
    assert pool._device is not None
    assert pool._device._process is not None
    pid = pool._device._process.pid
    assert pid is not None
    return pid


@one_loop
async def test_the_device_gives_the_values_of_the_ordinary_path(pool: ScoringPool, mounted: Path) -> None:
    assert pool.has_device()
    models = Models(mounted=mounted)
    measured = await asyncio.gather(*(pool.measure(picture, WANTED, GIVEN) for picture in PICTURES * 3))
    for content, found in zip(PICTURES * 3, measured, strict=True):
        expected = measure_bytes(content, WANTED, models, prompt=GIVEN.prompt).by_name()
        for name, measurement in found.by_name().items():
            assert measurement.status is expected[name].status
            assert measurement.raw == pytest.approx(expected[name].raw, abs=1e-4)


@one_loop
async def test_a_device_that_dies_is_replaced_and_its_pictures_are_measured(pool: ScoringPool) -> None:
    before = await pool.measure(PICTURES[0], WANTED, GIVEN)
    killed = device_pid(pool)
    os.kill(killed, signal.SIGKILL)
    measured = await asyncio.gather(*(pool.measure(PICTURES[0], WANTED, GIVEN) for _ in range(4)))
    assert all(picture == before for picture in measured)
    assert device_pid(pool) != killed
    assert pool.rebuilt_count == 0


@one_loop
async def test_a_device_that_died_unnoticed_makes_the_service_unready_and_comes_back(
    pool: ScoringPool,
) -> None:
    os.kill(device_pid(pool), signal.SIGKILL)
    await eventually(lambda: not pool.has_device())
    await eventually(pool.has_device, within_s=60)
    replacement = device_pid(pool)
    assert (await pool.measure(PICTURES[0], WANTED, GIVEN)).by_name()["prompt_alignment"].raw is not None
    assert device_pid(pool) == replacement


@one_loop
async def test_a_device_that_cannot_come_back_fails_no_picture(pool: ScoringPool, mounted: Path) -> None:
    manifest = (mounted / "manifest.yaml").read_text()
    (mounted / "manifest.yaml").write_text("models: nonsense")
    os.kill(device_pid(pool), signal.SIGKILL)
    with pytest.raises(Unavailable):
        await pool.measure(PICTURES[0], WANTED, GIVEN)
    (mounted / "manifest.yaml").write_text(manifest)
    assert not pool.has_device()
    await eventually(pool.has_device, within_s=60)


@one_loop
async def test_a_line_tells_what_the_device_has_and_refuses_what_it_cannot_run(
    pool: ScoringPool, mounted: Path
) -> None:
    assert pool._device is not None
    line = DeviceClient(pool._device.address)
    entries = read_manifest(mounted)
    network = line.load(mounted, entries["tiny_image"])
    nine = np.random.default_rng(1).random((9, 3, 8, 8), np.float32)
    found = await asyncio.to_thread(network.run, nine)
    np.testing.assert_allclose(found[0], nine.mean(axis=(2, 3)), atol=1e-6)
    with pytest.raises(DeviceRefused):
        await asyncio.to_thread(network.run, np.zeros((1, 3, 8, 9), np.float32))
    np.testing.assert_allclose((await asyncio.to_thread(network.run, nine[:1]))[0], found[0][:1], atol=1e-6)
    with pytest.raises(ModelMissing):
        line.load(mounted, entries["tiny_image"].model_copy(update={"sha256": "0" * 64}))
    line.close()


@one_loop
async def test_nonsense_on_the_line_ends_only_that_line(pool: ScoringPool) -> None:
    assert pool._device is not None
    for nonsense in (b"\x00", b"\x00\x00\x00\x02{}", b'\x00\x00\x00\x1c{"arrays": [["<f4", [-1]]]}}'):
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(pool._device.address)
            line.sendall(nonsense)
    killed = device_pid(pool)
    assert (await pool.measure(PICTURES[0], WANTED, GIVEN)).by_name()["aesthetic"].raw is not None
    assert device_pid(pool) == killed


def test_a_line_to_nowhere_says_that_the_device_is_gone(tmp_path: Path) -> None:
    with pytest.raises(DeviceGone):
        DeviceClient(str(tmp_path / "nothing")).ask({"open": "x"}, ())


@one_loop
@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this ONNX Runtime has CUDA"
)
async def test_a_device_that_is_not_there_fails_the_start_and_auto_goes_on_without(
    mounted: Path,
) -> None:
    configuration = configured(mounted, Device.cuda)
    refused = ScoringPool(1, device=configuration)
    with pytest.raises(DeviceUnusable, match=r"CUDAExecutionProvider.*onnxruntime-gpu"):
        await refused.start(WANTED)
    refused.stop()
    configuration = configured(mounted, Device.auto)
    pool = ScoringPool(
        1, models_dir=configuration.models_dir, mounted_models_dir=str(mounted), device=configuration
    )
    try:
        await pool.start(WANTED)
        assert pool.has_device()
        assert pool._device is None
        assert (await pool.measure(PICTURES[0], WANTED, GIVEN)).by_name()["aesthetic"].raw is not None
    finally:
        pool.stop()


def test_every_batch_size_is_run_before_the_device_is_ready(
    mounted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = load_networks(Device.batched_cpu, [mounted], rows_max=6)
    seen: dict[str, list[tuple[int, ...]]] = {}
    for network in networks.loaded.values():
        run = network.runner.run

        def noted(inputs, name=network.entry.name, run=run):
            seen.setdefault(name, []).append(next(iter(inputs.values())).shape)
            return run(inputs)

        monkeypatch.setattr(network.runner, "run", noted)
    assert networks.warm_up() == 12
    assert seen["tiny_image"] == [(rows, 3, 8, 8) for rows in (1, 2, 4, 6)]
    assert seen["tiny_text"] == [(rows, 8) for rows in (1, 2, 4, 6)]
    assert seen["aesthetic"] == [(rows, 3) for rows in (1, 2, 4, 6)]
