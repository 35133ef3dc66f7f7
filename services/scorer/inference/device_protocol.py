"""Order to the process of the device, and its answer. Imports nothing heavy: the service reads it too."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Device(StrEnum):
    """Device on which networks run.

    ``cpu``: in every scoring process by itself. ``batched_cpu``: on the path of a device, but on the CPU.
    ``auto``: the first of TensorRT and CUDA that works, else ``cpu``.
    """

    cpu = "cpu"
    batched_cpu = "batched_cpu"
    cuda = "cuda"
    tensorrt = "tensorrt"
    auto = "auto"


@dataclass(frozen=True, slots=True)
class DeviceConfiguration:
    """Order to the process: which device, models, batches; ``warm_up_sizes`` are (height, width) of pictures.

    Only networks that the dimensions ``wanted`` need are loaded. With ``takes_measures`` the tier-1 measures
    of whole frames run there too.
    """

    device: Device
    models_dir: str = ""
    mounted_models_dir: str = ""
    batch_rows_max: int = 32
    batch_wait_s: float = 0.005
    cache_dir: str = ""
    warm_up_sizes: tuple[tuple[int, int], ...] = ((1024, 1024),)
    takes_measures: bool = True
    wanted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class DeviceStarted:
    """Answer of the process: the device that is in use (``cpu`` where none is), or why it cannot serve."""

    device: Device = Device.cpu
    networks_count: int = 0
    warm_up_runs: int = 0
    tried: tuple[str, ...] = ()
    failure: str = ""


class DeviceGone(Exception):  # noqa: N818 (the noun of the problem)
    """The device's process does not answer; it says nothing about the picture."""


class DeviceRefused(ValueError):  # noqa: N818 (the noun of the problem)
    """The device runs, but not on these inputs."""
