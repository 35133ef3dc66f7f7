"""dlib's face recognition network, from its own weight file to ONNX, without dlib.

The file holds the layers from input to output. A layer with parameters starts with its kind as a word. One tensor follows:
a version, four sizes, then little-endian floats. The topology is dlib's published one (ResNet of 29
layers, 150 px input, 128 values out); affine layers are folded into the convolution before them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from model_builder.graph import Floats, Graph, square_image

SIDE_PX = 150
WIDTH = 128
_MEAN = (122.782, 117.001, 104.298)
_SCALE = 256.0
_STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
"""Channels, blocks, and whether the first block halves the size."""
_LAYER = re.compile(rb"(?:con_|affine_|fc_)\d?")
_PIECES = 59


def convert(content: bytes) -> bytes:
    """Return the ONNX model of a dlib weight file; input is RGB 0..255. Raises ValueError for another file."""
    weights = iter(_tensors(content))
    graph = Graph("dlib_face_recognition_resnet_v1", square_image(3, SIDE_PX))
    mean = graph.weight(np.array(_MEAN, np.float32).reshape(1, 3, 1, 1))
    scale = graph.weight(np.array(_SCALE, np.float32))
    layer = graph.node("Div", [graph.node("Sub", ["image", mean]), scale])
    layer = graph.node("Relu", [graph.convolution(layer, *_folded(weights, 32, 3, 7), stride=2)])
    layer = graph.node("MaxPool", [layer], kernel_shape=[3, 3], strides=[2, 2])
    side, channels = 35, 32
    for wide, blocks, halves in _STAGES:
        for block in range(blocks):
            down = halves and block == 0
            layer, side = _block(graph, layer, weights, channels, wide, side, down=down)
            channels = wide
    layer = graph.node("Flatten", [graph.node("GlobalAveragePool", [layer])])
    last = next(weights).reshape(channels, WIDTH)
    return graph.finish({"embedding": (graph.node("MatMul", [layer, graph.weight(last)]), ["n", WIDTH])})


def _block(
    graph: Graph,
    source: str,
    weights: Iterator[Floats],
    channels: int,
    wide: int,
    side: int,
    *,
    down: bool,
) -> tuple[str, int]:
    kernel, bias = _folded(weights, wide, channels, 3)
    if down:
        layer = graph.convolution(source, kernel, bias, stride=2)
        inner, outer = (side - 3) // 2 + 1, side // 2
    else:
        layer = graph.convolution(source, kernel, bias, pads=(1, 1, 1, 1))
        inner = outer = side
    layer = graph.node("Relu", [layer])
    layer = graph.convolution(layer, *_folded(weights, wide, wide, 3), pads=(1, 1, 1, 1))
    past = source
    if down:
        past = graph.node("AveragePool", [source], kernel_shape=[2, 2], strides=[2, 2])
        past = _padded(graph, past, wide - channels, max(inner, outer) - outer)
        layer = _padded(graph, layer, 0, max(inner, outer) - inner)
    return graph.node("Relu", [graph.node("Add", [layer, past])]), max(inner, outer)


def _padded(graph: Graph, source: str, channels: int, pixels: int) -> str:
    """Add zeros after the last channel, row and column, as dlib does where two sizes meet."""
    if not channels and not pixels:
        return source
    pads = np.array([0, 0, 0, 0, 0, channels, pixels, pixels], np.int64)
    return graph.node("Pad", [source, graph.weight(pads)], mode="constant")


def _folded(weights: Iterator[Floats], wide: int, channels: int, side: int) -> tuple[Floats, Floats]:
    """Read a convolution and the affine layer after it, as one kernel and bias."""
    both = next(weights)
    kernel = both[:-wide].reshape(wide, channels, side, side)
    gamma, beta = next(weights).reshape(2, wide)
    return kernel * gamma.reshape(-1, 1, 1, 1), both[-wide:] * gamma + beta


def _tensors(content: bytes) -> list[Floats]:
    found: list[Floats] = []
    end = 0
    for match in _LAYER.finditer(content):
        if match.start() < end:
            continue
        position = match.end()
        sizes = []
        # A fully connected layer names its outputs and inputs before the tensor.
        for _ in range(7 if match.group().startswith(b"fc_") else 5):
            value, position = _integer(content, position)
            sizes.append(value)
        count = int(np.prod(sizes[-4:]))
        found.append(np.frombuffer(content, "<f4", count, position).astype(np.float32))
        end = position + 4 * count
    if len(found) != _PIECES:
        raise ValueError("this is not dlib's face recognition network")
    return found


def _integer(content: bytes, position: int) -> tuple[int, int]:
    """Read dlib's integer: a byte with the length (and the sign in its highest bit), then that many bytes."""
    control = content[position] if position < len(content) else 0
    length = control & 0x0F
    if not length:
        raise ValueError("this is not dlib's face recognition network")
    value = int.from_bytes(content[position + 1 : position + 1 + length], "little")
    return (-value if control & 0x80 else value), position + 1 + length
