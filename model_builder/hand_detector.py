"""The palm detector out of Google's hand landmarker bundle, an archive of two networks, as ONNX."""

from __future__ import annotations

import io
import zipfile

from model_builder import tflite_graph

_MEMBER = "hand_detector.tflite"
_OUTPUTS = {"Identity_1": "confidences", "Identity": "boxes"}


def convert(content: bytes) -> bytes:
    """Return the network; raises ValueError for another file."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as bundle:
            network = bundle.read(_MEMBER)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError("this is no hand landmarker bundle") from error
    return tflite_graph.convert(network, "palm_detector", _OUTPUTS)
