"""Reads YAML files whose faults are named by file, field and reason."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from winnow.contracts.values import Mode

M = TypeVar("M", bound=BaseModel)
TEMPLATES_FOLDER: Final = Path(__file__).parent
"""The folder of the bundled templates."""


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]
    version: Annotated[int, Field(ge=1)]
    order: dict[str, Any]
    modes: Annotated[dict[Mode, dict[str, Any]], Field(min_length=1)]
    rounds: dict[str, Any]
    cost_cap_factor_ppm: Annotated[int, Field(ge=1_000_000)] = 3_000_000
    prices: list[dict[str, Any]]


class TemplateFile(_Document):
    """A template as its file has it. A part that belongs to a service is checked by that service."""

    file: str

    def part(self, model: type[M]) -> M:
        """Return the fields that a model names; raises ValueError naming file, field and reason."""
        return parse(self.file, model, {field: getattr(self, field) for field in model.model_fields})


def read_templates(folder: Path = TEMPLATES_FOLDER) -> tuple[TemplateFile, ...]:
    """Read every ``*.yaml`` of a folder as a template; raises ValueError for a file that is wrong, or for none."""
    templates = [_read_template(path) for path in sorted(folder.glob("*.yaml"))]
    if not templates:
        msg = f"{folder} holds no template"
        raise ValueError(msg)
    files: dict[tuple[str, int], str] = {}
    for template in templates:
        first = files.setdefault((template.name, template.version), template.file)
        if first != template.file:
            msg = f"{template.file}: name: {first} is version {template.version} of {template.name} too"
            raise ValueError(msg)
    return tuple(templates)


def read_yaml(path: Path) -> Any:
    """Return the document of a YAML file; raises ValueError naming the file."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        msg = f"{path.name}: not YAML: {error}"
        raise ValueError(msg) from error


def parse(file: str, model: type[M], document: object) -> M:
    """Return a document as a model; raises ValueError naming the file, and each fault by field and reason."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        faults = [
            f"{'.'.join(str(step) for step in fault['loc']) or 'the document'}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        ]
        msg = f"{file}: {'; '.join(faults)}"
        raise ValueError(msg) from error


def _read_template(path: Path) -> TemplateFile:
    document = parse(path.name, _Document, read_yaml(path))
    return TemplateFile(file=path.name, **dict(document))
