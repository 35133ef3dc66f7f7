"""An ONNX network as the measures use it: how pictures are fed, on any runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from services.scorer.inference.manifest import InputSpec
from services.scorer.inference.models import ModelMissing
from services.scorer.inference.providers import CPU, Provider, ProviderUnusable, open_session

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

ON_CPU: Final = (CPU,)


class Runner(Protocol):
    """Runs a loaded network, here or on a device."""

    input_names: tuple[str, ...]
    metadata: Mapping[str, str]

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> list[Floats]:
        """Return every output."""
        ...


class SessionRunner:
    """A session of this process; not safe for threads."""

    def __init__(self, name: str, content: bytes, providers: Sequence[Provider] = ON_CPU) -> None:
        """Load verified bytes; raises ModelMissing, or ProviderUnusable when not on the first of ``providers``."""
        self._session = open_session(name, content, providers)
        self.input_names = tuple(tensor.name for tensor in self._session.get_inputs())
        self.metadata: Mapping[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    @property
    def shapes(self) -> tuple[tuple[str, tuple[int | None, ...]], ...]:
        """Return type and shape of each input; None where any size is taken."""
        return tuple(
            (tensor.type, tuple(side if isinstance(side, int) else None for side in tensor.shape))
            for tensor in self._session.get_inputs()
        )

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> list[Floats]:
        """Return every output."""
        found: list[Floats] = self._session.run(None, dict(inputs))
        return found


class Network:
    """A loaded network; not safe for threads. ``spec`` says how pictures are fed."""

    def __init__(self, runner: Runner, spec: InputSpec) -> None:
        """Take what runs it."""
        self._runner = runner
        self.spec = spec
        self.input_names = runner.input_names
        self.metadata = runner.metadata

    def feed(self, pictures: Sequence[Image]) -> Floats:
        """Return the batch of ``(H, W, 3) uint8 RGB`` pictures of one size, resized to the network's where it has one."""
        spec = self.spec
        mean, scale = np.asarray(spec.mean, np.float32), np.asarray(spec.scale, np.float32)
        rows = []
        for picture in pictures:
            size = (spec.width or picture.shape[1], spec.height or picture.shape[0])
            small = picture if size == picture.shape[1::-1] else _resized(picture, size)
            ordered = small[:, :, ::-1] if spec.channels == "BGR" else small
            scaled = (ordered.astype(np.float32) - mean) / scale
            rows.append(scaled.transpose(2, 0, 1) if spec.layout == "NCHW" else scaled)
        return np.ascontiguousarray(np.stack(rows))

    def run(self, *inputs: NDArray[Any], names: Sequence[str] = ()) -> list[Floats]:
        """Run on inputs in the order of ``names``, or of the network; return every output."""
        return self._runner.run(dict(zip(names or self.input_names, inputs, strict=True)))

    def see(self, picture: Image) -> Floats:
        """Return the first output for one picture, without the batch axis."""
        first: Floats = self.run(self.feed([picture]))[0][0]
        return first


def load_network(name: str, content: bytes, spec: InputSpec) -> Network:
    """Load a network into this process, on the CPU and one thread; raises ModelMissing."""
    try:
        return Network(SessionRunner(name, content), spec)
    except ProviderUnusable as error:
        raise ModelMissing(str(error)) from error


def _resized(picture: Image, size: tuple[int, int]) -> Image:
    shrinks = size[0] * size[1] < picture.shape[0] * picture.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(picture, size, interpolation=how).astype(np.uint8, copy=False)
