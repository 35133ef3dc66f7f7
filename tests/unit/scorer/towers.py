"""A pair of tiny towers that a test mounts as models."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

VOCABULARY = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nred\ngreen\nblue\na\npicture\n##ish\n"
MEANING = np.zeros((10, 3), np.float32)


def onnx_file(
    nodes: list[onnx.NodeProto],
    inputs: Mapping[str, tuple[int, Sequence[int | str]]],
    weights: Mapping[str, NDArray[np.generic]],
    width: int,
) -> bytes:
    graph_inputs = [
        helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()
    ]
    out = [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", width])]
    held = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "tiny", graph_inputs, out, held), opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 9
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def image_tower() -> bytes:
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixels"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["out"]),
    ]
    return onnx_file(nodes, {"pixels": (TensorProto.FLOAT, ["n", 3, 8, 8])}, {}, 3)


def text_tower() -> bytes:
    nodes = [
        helper.make_node("Gather", ["meaning", "input_ids"], ["each"]),
        helper.make_node("Cast", ["attention_mask"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["real", "last"], ["real3"]),
        helper.make_node("Mul", ["each", "real3"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "middle"], ["out"], keepdims=0),
    ]
    inputs = {name: (TensorProto.INT64, ["n", "t"]) for name in ("input_ids", "attention_mask")}
    weights = {"meaning": MEANING, "last": np.array([2]), "middle": np.array([1])}
    return onnx_file(nodes, inputs, weights, 3)


def head() -> bytes:
    nodes = [helper.make_node("MatMul", ["embedding", "taste"], ["out"])]
    taste = np.array([[3.0], [2.0], [1.0]], np.float32)
    return onnx_file(nodes, {"embedding": (TensorProto.FLOAT, ["n", 3])}, {"taste": taste}, 1)


def mount(folder: Path) -> Path:
    """Write the pair, a head and their manifest into a folder."""
    files = {"image.onnx": image_tower(), "text.onnx": text_tower(), "head.onnx": head()}
    common = {"licence": "made by the test", "space": "colours"}
    entries: list[dict[str, Any]] = [
        {"name": "tiny_image", "file": "image.onnx", "role": "image_tower"}
        | {"input": {"name": "pixels", "height": 8, "width": 8, "scale": 255}},
        {"name": "tiny_text", "file": "text.onnx", "role": "text_tower", "tokens": 8}
        | {"tokenizer": "wordpiece", "tokenizer_file": "vocabulary.txt"},
        {"name": "aesthetic", "file": "head.onnx", "role": "head"},
    ]
    for entry in entries:
        content = files[str(entry["file"])]
        (folder / str(entry["file"])).write_bytes(content)
        entry |= {"sha256": hashlib.sha256(content).hexdigest(), **common}
    (folder / "vocabulary.txt").write_text(VOCABULARY)
    (folder / "manifest.yaml").write_text(yaml.safe_dump({"models": entries}))
    return folder


def plain(red: int, green: int, blue: int, side: int = 40) -> NDArray[np.uint8]:
    return np.full((side, side, 3), (red, green, blue), np.uint8)
