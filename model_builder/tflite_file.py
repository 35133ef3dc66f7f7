"""Reads a TFLite file's first graph: its operators in order, and its tensors with their constant values.

The package ``tflite`` holds the file's schema; it reads tables, numbers and names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tflite
from numpy.typing import NDArray

OPERATORS: Final = {
    tflite.BuiltinOperator.ADD: ("add", tflite.AddOptions),
    tflite.BuiltinOperator.CONCATENATION: ("concatenation", tflite.ConcatenationOptions),
    tflite.BuiltinOperator.CONV_2D: ("convolution", tflite.Conv2DOptions),
    tflite.BuiltinOperator.DEPTHWISE_CONV_2D: ("depthwise", tflite.DepthwiseConv2DOptions),
    tflite.BuiltinOperator.DEQUANTIZE: ("dequantize", tflite.DequantizeOptions),
    tflite.BuiltinOperator.LOGISTIC: ("logistic", None),
    tflite.BuiltinOperator.MAX_POOL_2D: ("max_pool", tflite.Pool2DOptions),
    tflite.BuiltinOperator.RELU: ("relu", None),
    tflite.BuiltinOperator.RESHAPE: ("reshape", tflite.ReshapeOptions),
    tflite.BuiltinOperator.RESIZE_BILINEAR: ("resize", tflite.ResizeBilinearOptions),
    tflite.BuiltinOperator.PAD: ("pad", tflite.PadOptions),
    tflite.BuiltinOperator.PRELU: ("prelu", None),
}
"""The operators that are converted, with the type of their options."""
_TYPES: Final = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's shape, and its value where it is a constant."""

    shape: tuple[int, ...]
    value: NDArray[Any] | None


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator with the numbers of its tensors, and its options in the schema's type."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any


@dataclass(frozen=True, slots=True)
class Network:
    """A graph; ``outputs`` are tensors by the names that the file gives them."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: dict[str, int]


def read_network(content: bytes) -> Network:
    """Read a file; raises ValueError for another file, an unknown operator or an unknown type of constants."""
    if not tflite.Model.ModelBufferHasIdentifier(content, 0):
        raise ValueError("this is no TFLite file")
    model = tflite.Model.GetRootAs(content)
    graph = model.Subgraphs(0)
    tensors = [graph.Tensors(number) for number in range(graph.TensorsLength())]
    return Network(
        tuple(_tensor(tensor, model.Buffers(tensor.Buffer()).DataAsNumpy()) for tensor in tensors),
        tuple(_operator(model, graph.Operators(number)) for number in range(graph.OperatorsLength())),
        tuple(graph.InputsAsNumpy().tolist()),
        {tensors[number].Name().decode(): number for number in graph.OutputsAsNumpy().tolist()},
    )


def _operator(model: Any, operator: Any) -> Operator:
    code = model.OperatorCodes(operator.OpcodeIndex())
    # Old files keep the number in one byte, newer files beside it in four.
    number = max(code.DeprecatedBuiltinCode(), code.BuiltinCode())
    if number not in OPERATORS:
        raise ValueError(f"the operator {number} is not converted")
    kind, options_type = OPERATORS[number]
    options, table = None, operator.BuiltinOptions()
    if options_type is not None and table is not None:
        options = options_type()
        options.Init(table.Bytes, table.Pos)
    inputs, outputs = operator.InputsAsNumpy(), operator.OutputsAsNumpy()
    return Operator(kind, tuple(inputs.tolist()), tuple(outputs.tolist()), options)


def _tensor(tensor: Any, content: Any) -> Tensor:
    # The schema's reader answers 0 for a list that is absent.
    shape = tuple(tensor.ShapeAsNumpy().tolist()) if tensor.ShapeLength() else ()
    if isinstance(content, int) or not content.size:
        return Tensor(shape, None)
    if tensor.Type() not in _TYPES:
        raise ValueError(f"constants of the type {tensor.Type()} are not converted")
    return Tensor(shape, content.view(_TYPES[tensor.Type()]).reshape(shape))
