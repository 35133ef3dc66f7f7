"""Writes small ONNX graphs by hand: a graph under construction, one method per kind of node."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Floats = NDArray[np.float32]

OPSET: Final = 17
_IR_VERSION: Final = 9


def square_image(channels: int, side: int) -> onnx.ValueInfoProto:
    """Return the input ``image`` of floats, ``(n, channels, side, side)``."""
    return helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", channels, side, side])


class Graph:
    """A graph with one input; every method returns its output's name."""

    def __init__(self, name: str, source: onnx.ValueInfoProto) -> None:
        """Start with the input."""
        self._name = name
        self._input = source
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def node(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        """Add any node with one output."""
        output = f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def weight(self, value: NDArray[Any]) -> str:
        """Add a constant of at least one axis."""
        return self._constant(np.ascontiguousarray(value))

    def scalar(self, value: np.generic) -> str:
        """Add a constant without axes."""
        return self._constant(np.asarray(value))

    def _constant(self, value: NDArray[Any]) -> str:
        name = f"weight_{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(value, name))
        return name

    def convolution(
        self,
        source: str,
        kernel: Floats,
        bias: Floats,
        *,
        stride: int = 1,
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
        groups: int = 1,
    ) -> str:
        """Add a convolution with bias; ``pads`` are top, left, bottom, right."""
        return self.node(
            "Conv",
            [source, self.weight(kernel), self.weight(bias)],
            strides=[stride, stride],
            pads=list(pads),
            group=groups,
        )

    def finish(self, outputs: dict[str, tuple[str, list[int | str]]]) -> bytes:
        """Return the checked model; ``outputs`` maps a public name to a node's output and its shape."""
        for public, (output, _) in outputs.items():
            self._nodes.append(helper.make_node("Identity", [output], [public]))
        infos = [
            helper.make_tensor_value_info(public, TensorProto.FLOAT, shape)
            for public, (_, shape) in outputs.items()
        ]
        graph = helper.make_graph(self._nodes, self._name, [self._input], infos, self._weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = _IR_VERSION
        onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString(deterministic=True)
        return content
