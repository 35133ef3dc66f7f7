"""An ONNX network of this process: one session, one thread, the wanted device or an error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from services.scorer.clients.manifest import InputSpec
from services.scorer.clients.models import ModelMissing

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

CPU: Final = ("CPUExecutionProvider",)
_QUIET: Final = 3


class Network:
    """A loaded network; not safe for threads. ``spec`` says how pictures are fed."""

    def __init__(self, name: str, content: bytes, spec: InputSpec, providers: Sequence[str] = CPU) -> None:
        """Load from verified bytes; raises ModelMissing when it does not load on the first of ``providers``."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _QUIET
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=list(providers))
        except Exception as error:
            msg = f"the model {name} does not load: {type(error).__name__}"
            raise ModelMissing(msg) from error
        # A listed provider may silently be unusable; then everything would run elsewhere, slowly.
        if self._session.get_providers()[0] != providers[0]:
            msg = f"the model {name} does not run on {providers[0]}"
            raise ModelMissing(msg)
        self.spec = spec
        self.input_names = tuple(one.name for one in self._session.get_inputs())
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    def feed(self, pictures: Sequence[Image]) -> Floats:
        """Give the batch of ``(H, W, 3) uint8 RGB`` pictures of one size, resized to the network's where it has one."""
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
        """Run on inputs in the order of ``names``, or of the network; gives every output."""
        wanted = names or self.input_names
        found: list[Floats] = self._session.run(None, dict(zip(wanted, inputs, strict=True)))
        return found

    def see(self, picture: Image) -> Floats:
        """Give the first output for one picture, without the batch axis."""
        first: Floats = self.run(self.feed([picture]))[0][0]
        return first


def _resized(picture: Image, size: tuple[int, int]) -> Image:
    shrinks = size[0] * size[1] < picture.shape[0] * picture.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(picture, size, interpolation=how).astype(np.uint8, copy=False)
