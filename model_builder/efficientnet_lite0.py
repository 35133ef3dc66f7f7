"""EfficientNet-Lite0 from its PyTorch weights to ONNX, without PyTorch.

The topology is as published: a stem, seven stages of inverted bottlenecks without squeeze and excitation, a head of 1280
channels. It has ReLU6 throughout and paddings as TensorFlow's SAME at 224 px. Batch norms are folded into the convolution
before them. Input is RGB, ``(pixel - 127) / 128``; outputs are the 1000 probabilities and the 1280 features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_builder.graph import Floats, Graph, square_image
from model_builder.legacy_torch import read_tensors

SIDE_PX = 224
LABELS = 1000
FEATURES = 1280
_EPSILON = 1e-3
_STEM = 32
_STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))  # fmt: skip
"""Repeats, kernel, stride of the first, expansion, channels."""

Tensors = Mapping[str, NDArray[Any]]


def convert(content: bytes) -> bytes:
    """Return the ONNX model of the weight file; raises ValueError for another file."""
    try:
        return _graph(read_tensors(content))
    except KeyError as error:
        raise ValueError(f"the weights have no {error}") from error


def _graph(tensors: Tensors) -> bytes:
    graph = Graph("efficientnet_lite0", square_image(3, SIDE_PX))
    low, high = graph.weight(np.array(0, np.float32)), graph.weight(np.array(6, np.float32))

    def relu(source: str) -> str:
        return graph.node("Clip", [source, low, high])

    layer, side = _convolved(graph, "image", _folded(tensors, "_conv_stem", "_bn0"), SIDE_PX, 2)
    layer, channels, number = relu(layer), _STEM, 0
    for repeats, _, first_stride, expansion, wide in _STAGES:
        for repeat in range(repeats):
            name, shortcut = f"_blocks.{number}", layer
            stride = first_stride if repeat == 0 else 1
            if expansion > 1:
                kernel = _folded(tensors, f"{name}._expand_conv", f"{name}._bn0")
                layer = relu(_convolved(graph, layer, kernel, side, 1)[0])
            depthwise = _folded(tensors, f"{name}._depthwise_conv", f"{name}._bn1")
            layer, side = _convolved(graph, layer, depthwise, side, stride, groups=channels * expansion)
            projected = _folded(tensors, f"{name}._project_conv", f"{name}._bn2")
            layer = _convolved(graph, relu(layer), projected, side, 1)[0]
            if stride == 1 and channels == wide:
                layer = graph.node("Add", [layer, shortcut])
            channels, number = wide, number + 1
    layer = relu(_convolved(graph, layer, _folded(tensors, "_conv_head", "_bn1"), side, 1)[0])
    features = graph.node("Flatten", [graph.node("GlobalAveragePool", [layer])])
    last, bias = graph.weight(tensors["_fc.weight"].T), graph.weight(tensors["_fc.bias"])
    scores = graph.node("Add", [graph.node("MatMul", [features, last]), bias])
    probabilities = graph.node("Softmax", [scores], axis=1)
    return graph.finish(
        {"probabilities": (probabilities, ["n", LABELS]), "features": (features, ["n", FEATURES])}
    )


def _folded(tensors: Tensors, convolution: str, norm: str) -> tuple[Floats, Floats]:
    """Return kernel and bias of a convolution with the batch norm after it."""
    gamma = tensors[f"{norm}.weight"] / np.sqrt(tensors[f"{norm}.running_var"] + _EPSILON)
    bias = tensors[f"{norm}.bias"] - tensors[f"{norm}.running_mean"] * gamma
    kernel = tensors[f"{convolution}.weight"] * gamma.reshape(-1, 1, 1, 1)
    return kernel.astype(np.float32), bias.astype(np.float32)


def _convolved(
    graph: Graph, source: str, weights: tuple[Floats, Floats], side: int, stride: int, *, groups: int = 1
) -> tuple[str, int]:
    """Add a convolution; odd padding goes to the right and bottom. Gives its output and side."""
    after = -(-side // stride)
    padding = max(0, (after - 1) * stride + weights[0].shape[2] - side)
    before, behind = padding // 2, padding - padding // 2
    pads = (before, before, behind, behind)
    return graph.convolution(source, *weights, stride=stride, pads=pads, groups=groups), after
