"""Conversions of `make models`.

Old PyTorch files and vocabularies made here, and TFLite files of an installed package.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
from collections import OrderedDict

import cv2
import numpy as np
import onnxruntime
import pytest

from model_builder import efficientnet_lite0, tflite_graph, word_pieces
from model_builder.legacy_torch import read_tensors
from services.scorer.inference.models import load_face_models
from tests.unit.scorer.photographs import portrait

MAGIC = 0x1950A86A20F9469CFC6C


class Placed:
    """A tensor to be written."""

    def __init__(self, offset: int, sizes: tuple[int, ...], steps: tuple[int, ...]) -> None:
        hooks: OrderedDict[str, object] = OrderedDict()
        self.parts = (offset, sizes, steps, False, hooks)


def written(tensors: dict[str, Placed], values: list[float]) -> bytes:
    """Write one storage and tensors in it, naming classes that are not here."""
    stream = io.BytesIO()
    for part in (MAGIC, 1001, {"little_endian": True}):
        pickle.dump(part, stream, protocol=2)
    # Opcodes by hand: a dictionary of calls of a named function on a persistent id.
    stream.write(b"\x80\x02}(")
    for name, placed in tensors.items():
        stream.write(b"X" + struct.pack("<I", len(name)) + name.encode())
        stream.write(b"ctorch._utils\n_rebuild_tensor_v2\n(")
        stream.write(b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu")
        stream.write(b"J" + struct.pack("<i", len(values)) + b"NtQ")
        stream.write(pickle.dumps(placed.parts[0], 2)[2:-1])
        for sizes in placed.parts[1:3]:
            stream.write(b"(" + b"".join(b"J" + struct.pack("<i", size) for size in sizes) + b"t")
        stream.write(b"\x89NtR")
    stream.write(b"u.")
    pickle.dump(["0"], stream, protocol=2)
    stream.write(struct.pack("<q", len(values)) + np.array(values, "<f4").tobytes())
    return stream.getvalue()


def test_tensors_are_read_where_they_lie_and_as_they_are_turned() -> None:
    content = written({"a": Placed(0, (2, 3), (3, 1)), "b": Placed(1, (3, 2), (1, 3))}, [0, 1, 2, 3, 4, 5, 6])
    found = read_tensors(content)
    assert found["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["b"].tolist() == [[1, 4], [2, 5], [3, 6]]


def test_a_tensor_outside_of_its_storage_is_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        read_tensors(written({"a": Placed(4, (2, 3), (3, 1))}, [0.0] * 6))


def test_nothing_that_a_file_names_is_run() -> None:
    stream = io.BytesIO()
    parts: tuple[object, ...] = (MAGIC, 1001, {})
    for part in parts:
        pickle.dump(part, stream, protocol=2)
    stream.write(b"\x80\x02cos\nsystem\n(X\x04\x00\x00\x00truetR.")
    with pytest.raises(ValueError, match=r"os\.system"):
        read_tensors(stream.getvalue())


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", pickle.dumps(1, 2)])
def test_other_files_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="PyTorch"):
        read_tensors(content)


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(ValueError, match="the weights have no"):
        efficientnet_lite0.convert(written({"a": Placed(0, (2,), (1,))}, [0.0] * 2))


def test_pieces_are_written_in_the_order_of_their_numbers() -> None:
    content = json.dumps({"model": {"vocab": {"b": 1, "[PAD]": 0, "##c": 2}}}).encode()
    assert word_pieces.convert(content) == b"[PAD]\nb\n##c\n"
    with pytest.raises(ValueError, match="gaps"):
        word_pieces.convert(json.dumps({"model": {"vocab": {"a": 1}}}).encode())
    with pytest.raises(ValueError, match="WordPiece"):
        word_pieces.convert(b"{}")


@pytest.mark.parametrize(
    ("name", "side", "outputs"),
    [
        ("detector", 128, {"regressors": "boxes", "classificators": "scores"}),
        ("landmarks", 256, {"Identity": "points", "Identity_1": "presence"}),
    ],
)
def test_a_converted_network_says_what_opencv_makes_of_the_file(
    name: str, side: int, outputs: dict[str, str]
) -> None:
    content: bytes = getattr(load_face_models(), name)
    session = onnxruntime.InferenceSession(
        tflite_graph.convert(content, name, outputs), providers=["CPUExecutionProvider"]
    )
    ordinary = cv2.dnn.readNetFromTFLite(np.frombuffer(content, np.uint8))
    assert [output.name for output in session.get_outputs()] == list(outputs.values())
    face = cv2.resize(portrait()[30:230, 120:320], (side, side), interpolation=cv2.INTER_AREA)
    for picture in (face, face[::-1]):
        image = cv2.dnn.blobFromImage(np.ascontiguousarray(picture), 1 / 255)
        ordinary.setInput(image)
        for found, expected in zip(
            session.run(None, {"image": image}), ordinary.forward(list(outputs)), strict=True
        ):
            assert float(np.abs(expected).max()) > 0
            np.testing.assert_allclose(found.reshape(-1), expected.reshape(-1), rtol=1e-3, atol=2e-3)


def test_a_tflite_file_that_is_none_or_has_other_operators_is_refused() -> None:
    with pytest.raises(ValueError, match="no TFLite file"):
        tflite_graph.convert(b"PK\x03\x04 and so on", "none", {})
    with pytest.raises(ValueError, match="the operator 40 is not converted"):
        tflite_graph.convert(load_face_models().blendshapes, "blendshapes", {})
