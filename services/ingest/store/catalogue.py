"""Reads the templates and the prompt rule from the service's own files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from services.ingest.domain.catalogue import Catalogue, Template, WordRule

FILES: Final = Path(__file__).parent.parent / "catalogue"
_TEMPLATE: Final[TypeAdapter[Template]] = TypeAdapter(Template)


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(ge=1)]
    phrases: list[Annotated[str, Field(min_length=1)]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """Content of the files."""

    catalogue: Catalogue
    rule: WordRule


def load(files: Path = FILES) -> Loaded:
    """Read both files; raises ValueError naming the fault, so that the service does not start with it."""
    templates = [
        _TEMPLATE.validate_python(listed_template)
        for listed_template in _read(files / "templates.yaml")["templates"]
    ]
    by_name = {template.name: template for template in templates}
    if len(by_name) != len(templates):
        msg = "two templates of the catalogue have the same name"
        raise ValueError(msg)
    for template in templates:
        if template.profile not in template.profiles:
            msg = f"the profile of template {template.name} is not among its profiles"
            raise ValueError(msg)
    words = _Words.model_validate(_read(files / "prompt_words.yaml"))
    phrases = tuple(tuple(phrase.casefold().split()) for phrase in words.phrases)
    return Loaded(Catalogue(by_name), WordRule(words.version, phrases))


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))
