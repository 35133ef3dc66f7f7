"""The networks that one process runs on the device: loaded, proven to be there, and warmed up."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from services.scorer.inference.batch_policy import batch_sizes
from services.scorer.inference.device_protocol import Device
from services.scorer.inference.manifest import TOWERS, ModelEntry, read_manifest, read_model
from services.scorer.inference.models import ModelMissing
from services.scorer.inference.network import SessionRunner
from services.scorer.inference.providers import ProviderUnusable, providers_of

_TYPES: Final[Mapping[str, type[np.generic]]] = {
    "tensor(float)": np.float32,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
}
_GREY_AXES: Final = 3
_REDUCED_SIZES: Final = ((736, 736), (736, 544), (544, 736))
"""Sizes (height, width) that networks of any size are warmed up with: what the text detector sees of squares and of 3:4."""

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A network on the device; ``rows_max`` is what it takes at once, at most what was asked."""

    entry: ModelEntry
    runner: SessionRunner
    rows_max: int

    def run(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return every output for inputs in the network's order."""
        return list(self.runner.run(dict(zip(self.runner.input_names, inputs, strict=True))))

    def blanks(self, rows: int, size: Size | None = None) -> tuple[NDArray[Any], ...]:
        """Return inputs of zeros; ``size`` is the picture's (height, width) where the network takes any."""
        return tuple(
            np.zeros((rows, *self._sides(shape, size)), _TYPES.get(kind, np.float32))
            for kind, shape in self.runner.shapes
        )

    def _sides(self, shape: tuple[int | None, ...], size: Size | None) -> list[int]:
        spec, sides = self.entry.input, list(shape[1:])
        height, width = size or _REDUCED_SIZES[0]
        height, width = spec.height or height, spec.width or width
        if len(sides) == 3:
            wanted = [3, height, width] if spec.layout == "NCHW" else [height, width, 3]
        elif len(sides) == 2:
            wanted = [height, width]
        else:
            wanted = [self.entry.tokens] * len(sides)
        return [known if known is not None else fill for known, fill in zip(sides, wanted, strict=True)]


@dataclass(frozen=True, slots=True)
class DeviceNetworks:
    """All ONNX networks of the model directories by SHA-256; ``missing`` says why one is not there."""

    device: Device
    loaded: Mapping[str, Loaded]
    missing: Mapping[str, str] = field(default_factory=dict)

    def run(self, key: str, inputs: tuple[NDArray[Any], ...]) -> list[NDArray[Any]]:
        """Run a network on a batch."""
        return self.loaded[key].run(inputs)

    def rows_max(self, key: str) -> int:
        """Return how many rows a network takes at once."""
        return self.loaded[key].rows_max

    def warm_up(self, sizes: Sequence[Size] = ()) -> int:
        """Run every network at every batch size, those without a size also at ``sizes``; return the number of runs.

        Raises what a network raises: one that cannot run a batch of its largest size is better known before the
        first picture.
        """
        count = 0
        for network in self.loaded.values():
            for inputs in _warm_inputs(network, sizes):
                network.run(inputs)
                count += 1
        return count


def load_networks(
    device: Device,
    directories: Sequence[Path],
    rows_max: int,
    *,
    cache_dir: str = "",
    only: Collection[str] | None = None,
) -> DeviceNetworks:
    """Load every ONNX network on the device, or ``only`` those named (all mounted networks as ``towers``).

    Raises ProviderUnusable when a network does not run there, ManifestInvalid.
    """
    if device in {Device.cuda, Device.tensorrt}:
        # Finds NVIDIA's libraries also where they were installed as packages.
        onnxruntime.preload_dlls()
    loaded: dict[str, Loaded] = {}
    missing: dict[str, str] = {}
    for directory in directories:
        for entry in read_manifest(directory).values():
            if entry.runtime != "onnx" or not _is_meant(entry, only):
                continue
            try:
                loaded[entry.sha256] = _load(device, directory, entry, rows_max, cache_dir)
            except ModelMissing as error:
                missing[entry.sha256] = str(error)
    if not loaded:
        raise ProviderUnusable(
            f"no network could be loaded that would show whether {device} works; run `make models`"
        )
    return DeviceNetworks(device, loaded, missing)


def _is_meant(entry: ModelEntry, only: Collection[str] | None) -> bool:
    return only is None or (TOWERS if entry.role is not None else entry.name) in only


def _load(device: Device, directory: Path, entry: ModelEntry, rows_max: int, cache_dir: str) -> Loaded:
    is_sized = entry.input.height is not None and entry.input.width is not None
    providers = providers_of(device, sized=is_sized, cache_dir=cache_dir)
    runner = SessionRunner(entry.name, read_model(directory, entry), providers)
    rows = [shape[0] for _, shape in runner.shapes if shape]
    fixed = next((row for row in rows if row is not None), None)
    if fixed not in {None, 1}:
        raise ModelMissing(
            f"the model {entry.name} takes exactly {fixed} pictures at once; export it with a free first axis"
        )
    return Loaded(entry, runner, fixed or rows_max)


def _warm_inputs(network: Loaded, sizes: Sequence[Size]) -> Iterator[tuple[NDArray[Any], ...]]:
    shape = network.runner.shapes[0][1]
    if network.entry.role == "head" and None in shape[1:]:
        return
    is_free = None in shape[1:] and len(shape) > 2
    # A network of grey pictures takes them as they are; others reduce them first.
    wanted = sizes if is_free and len(shape) == _GREY_AXES else _REDUCED_SIZES if is_free else (None,)
    for rows in batch_sizes(network.rows_max):
        blanks = [network.blanks(rows, size) for size in wanted]
        yield from {tuple(array.shape for array in arrays): arrays for arrays in blanks}.values()
