"""The manifest of a models directory: which weights there are, what pins them, and how they are fed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.scorer.inference.models import ModelMissing

BUILT: Final = Path(__file__).resolve().parents[3] / "models"
"""Folder into which `make models` writes, beside the sources."""

TOWERS: Final = "towers"
"""Names all models with a role together."""

_MANIFEST: Final = "manifest.yaml"
_HOW: Final = "run `make models`"

Channels = tuple[float, float, float]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InputSpec(_Part):
    """Input of a model: ``(pixel - mean) / scale`` per channel, in the named order and layout.

    Height and width are null where the network takes any size.
    """

    name: str = ""
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    height: Annotated[int, Field(gt=0)] | None = None
    width: Annotated[int, Field(gt=0)] | None = None
    channels: Literal["RGB", "BGR"] = "RGB"
    mean: Channels = (0.0, 0.0, 0.0)
    scale: Channels | float = 1.0


class ModelEntry(_Part):
    """One model file; ``role`` tells a mounted tower or head from a model that a dimension names."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    licence: Annotated[str, Field(min_length=1)]
    package: str = ""
    # `onnx_here`: never sent to a device.
    runtime: Literal["onnx", "onnx_here", "opencv", "text"] = "onnx"
    input: InputSpec = InputSpec()
    calibration: str = ""
    # Of mounted models: the part in a pair of towers, the space they share, and how the text tower reads.
    role: Literal["image_tower", "text_tower", "head"] | None = None
    space: str = ""
    tokenizer: Literal["wordpiece", "clip_bpe"] | None = None
    tokenizer_file: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] | None = None
    tokens: Annotated[int, Field(ge=4, le=4096)] = 77


class _Manifest(_Part):
    models: tuple[ModelEntry, ...] = ()


class ManifestInvalid(Exception):  # noqa: N818 (the noun of the problem)
    """A manifest is not one; the text names the file and the fault."""


def read_manifest(directory: Path) -> dict[str, ModelEntry]:
    """Read a directory's manifest; empty when there is none. Raises ManifestInvalid."""
    path = directory / _MANIFEST
    try:
        manifest = _Manifest.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except FileNotFoundError:
        return {}
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ManifestInvalid(f"{path}: {error}") from error
    return {entry.name: entry for entry in manifest.models}


def read_model(directory: Path, entry: ModelEntry) -> bytes:
    """Read a model's file; raises ModelMissing when it is absent or not the one of the manifest."""
    try:
        content = (directory / entry.file).read_bytes()
    except OSError as error:
        raise ModelMissing(f"the file of the model {entry.name} cannot be read; {_HOW}") from error
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise ModelMissing(f"the file of the model {entry.name} is not the one of the manifest; {_HOW}")
    return content


def manifest_versions(directory: Path = BUILT) -> dict[str, str]:
    """Name each model of a directory with what pins it, for the record of a verdict; raises ManifestInvalid."""
    return {name: f"sha256:{entry.sha256}" for name, entry in read_manifest(directory).items()}


def remedy(name: str) -> str:
    """Return a sentence on how to get a model that no manifest names."""
    return f"the model {name} is not installed; {_HOW}"
