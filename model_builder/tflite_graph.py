"""Converts a TFLite network of convolutions to ONNX, which runs four times as fast on a CPU as by OpenCV.

Tensors lie as NHWC in the file and as NCHW here; where a tensor leaves the plane of pixels (reshape) it is turned back first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import tflite
from numpy.typing import NDArray

from model_builder.graph import Graph, square_image
from model_builder.tflite_file import Network, Operator, read_network

_PLANE: Final = 4


def convert(content: bytes, name: str, outputs: dict[str, str]) -> bytes:
    """Return the model; ``outputs`` maps names of the file to public names, in their order. Raises ValueError."""
    network = read_network(content)
    shape = network.tensors[network.inputs[0]].shape
    plan = _Plan(network, Graph(name, square_image(shape[3], shape[1])))
    for operator in network.operators:
        plan.add(operator)
    return plan.graph.finish({public: plan.output(network.outputs[ours]) for ours, public in outputs.items()})


class _Plan:
    """The graph so far: the constants and the names of the tensors that are known."""

    def __init__(self, network: Network, graph: Graph) -> None:
        self.graph = graph
        self._network = network
        self._constants = {
            number: tensor.value for number, tensor in enumerate(network.tensors) if tensor.value is not None
        }
        self.names = {network.inputs[0]: "image"}

    def add(self, operator: Operator) -> None:
        if operator.kind == "dequantize":
            # Weights are kept at half precision.
            self._constants[operator.outputs[0]] = self._constant(operator.inputs[0]).astype(np.float32)
            return
        make: Callable[[Operator], str] = getattr(self, f"_{operator.kind}")
        self.names[operator.outputs[0]] = make(operator)

    def output(self, number: int) -> tuple[str, list[int | str]]:
        """Return the name of a tensor as it lies in the file, and its shape."""
        return self._as_in_file(number), ["n", *self._shape(number)[1:]]

    def _as_in_file(self, number: int) -> str:
        is_plane = len(self._shape(number)) == _PLANE
        name = self.names[number]
        return self.graph.node("Transpose", [name], perm=[0, 2, 3, 1]) if is_plane else name

    def _constant(self, number: int) -> NDArray[Any]:
        if number not in self._constants:
            raise ValueError("a constant is computed in the network")
        return self._constants[number]

    def _shape(self, number: int) -> tuple[int, ...]:
        return self._network.tensors[number].shape

    def _convolution(self, operator: Operator) -> str:
        kernel = self._constant(operator.inputs[1]).transpose(0, 3, 1, 2)
        return self._convolved(operator, kernel, groups=1, activation=_activation(operator))

    def _depthwise(self, operator: Operator) -> str:
        kernel = self._constant(operator.inputs[1]).transpose(3, 0, 1, 2)
        return self._convolved(operator, kernel, groups=kernel.shape[0], activation=_activation(operator))

    def _convolved(self, operator: Operator, kernel: NDArray[Any], *, groups: int, activation: int) -> str:
        stride = operator.options.StrideW()
        height, width = kernel.shape[2:]
        found = self.graph.convolution(
            self.names[operator.inputs[0]],
            np.ascontiguousarray(kernel, np.float32),
            np.ascontiguousarray(self._constant(operator.inputs[2]), np.float32),
            stride=stride,
            pads=self._pads(operator, (height, width), stride),
            groups=groups,
        )
        return self._activated(found, activation)

    def _activated(self, source: str, activation: int) -> str:
        if activation not in {tflite.ActivationFunctionType.NONE, tflite.ActivationFunctionType.RELU}:
            raise ValueError(f"the activation {activation} is not converted")
        return (
            self.graph.node("Relu", [source]) if activation == tflite.ActivationFunctionType.RELU else source
        )

    def _pads(self, operator: Operator, window: tuple[int, int], stride: int) -> tuple[int, int, int, int]:
        """Return top, left, bottom, right; where the padding is uneven, more is at the end."""
        if operator.options.Padding() == tflite.Padding.VALID:
            return (0, 0, 0, 0)
        sides = self._shape(operator.inputs[0])[1:3]
        needed = [
            max(0, (-(-side // stride) - 1) * stride + length - side)
            for side, length in zip(sides, window, strict=True)
        ]
        before = [total // 2 for total in needed]
        after = [total - half for total, half in zip(needed, before, strict=True)]
        return (before[0], before[1], after[0], after[1])

    def _max_pool(self, operator: Operator) -> str:
        width, height = operator.options.FilterWidth(), operator.options.FilterHeight()
        stride = operator.options.StrideW()
        return self.graph.node(
            "MaxPool",
            [self.names[operator.inputs[0]]],
            kernel_shape=[height, width],
            strides=[stride, stride],
            pads=list(self._pads(operator, (height, width), stride)),
        )

    def _prelu(self, operator: Operator) -> str:
        """Write ``slope x + (1 - slope) max(x, 0)`` as convolutions of one pixel.

        ONNX Runtime then keeps its blocked layout between the convolutions around it, which halves the network's time on a CPU.
        """
        source = self.names[operator.inputs[0]]
        slope = self._constant(operator.inputs[1]).astype(np.float32).reshape(-1, 1, 1, 1)
        channels, none = len(slope), np.zeros(len(slope), np.float32)
        below = self.graph.convolution(source, slope, none, groups=channels)
        above = self.graph.convolution(
            self.graph.node("Relu", [source]), np.float32(1) - slope, none, groups=channels
        )
        return self.graph.node("Add", [above, below])

    def _relu(self, operator: Operator) -> str:
        return self.graph.node("Relu", [self.names[operator.inputs[0]]])

    def _logistic(self, operator: Operator) -> str:
        return self.graph.node("Sigmoid", [self.names[operator.inputs[0]]])

    def _add(self, operator: Operator) -> str:
        found = self.graph.node("Add", [self.names[number] for number in operator.inputs])
        return self._activated(found, _activation(operator))

    def _pad(self, operator: Operator) -> str:
        pads = self._constant(operator.inputs[1])[[0, 3, 1, 2]].T.reshape(-1).astype(np.int64)
        return self.graph.node("Pad", [self.names[operator.inputs[0]], self.graph.weight(pads)])

    def _resize(self, operator: Operator) -> str:
        height, width = self._shape(operator.outputs[0])[1:3]
        before = self._shape(operator.inputs[0])[1:3]
        scales = np.array([1, 1, height / before[0], width / before[1]], np.float32)
        if operator.options.AlignCorners() or not operator.options.HalfPixelCenters():
            raise ValueError("only resizing by pixel centres is converted")
        return self.graph.node(
            "Resize",
            [self.names[operator.inputs[0]], "", self.graph.weight(scales)],
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )

    def _reshape(self, operator: Operator) -> str:
        shape = np.array([0, *self._shape(operator.outputs[0])[1:]], np.int64)
        return self.graph.node("Reshape", [self._as_in_file(operator.inputs[0]), self.graph.weight(shape)])

    def _concatenation(self, operator: Operator) -> str:
        if len(self._shape(operator.outputs[0])) == _PLANE:
            raise ValueError("planes of pixels are not joined")
        return self.graph.node(
            "Concat", [self.names[number] for number in operator.inputs], axis=operator.options.Axis()
        )


def _activation(operator: Operator) -> int:
    return 0 if operator.options is None else int(operator.options.FusedActivationFunction())
