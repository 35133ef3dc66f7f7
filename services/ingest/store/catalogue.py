"""Reads what can be ordered from the templates, and the prompt rule from the service's own file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from services.ingest.domain.catalogue import Catalogue, Template, WordRule
from winnow.templates import TEMPLATES_FOLDER, TemplateFile, parse, read_templates, read_yaml

FILES: Final = Path(__file__).parent.parent / "catalogue"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")

    order: Template


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(ge=1)]
    phrases: list[Annotated[str, Field(min_length=1)]]


_SHARED: Final = frozenset({"name", "version", "modes"})


@dataclass(frozen=True, slots=True)
class Loaded:
    """Content of the files."""

    catalogue: Catalogue
    rule: WordRule


def load(templates: Path = TEMPLATES_FOLDER, files: Path = FILES) -> Loaded:
    """Read the files; raises ValueError naming the fault, so that the service does not start with it.

    Of several versions of a template the newest can be ordered.
    """
    newest: dict[str, Template] = {}
    for file in read_templates(templates):
        template = _template(file)
        if file.name not in newest or newest[file.name].version < file.version:
            newest[file.name] = template
    words_file = files / "prompt_words.yaml"
    words = parse(words_file.name, _Words, read_yaml(words_file))
    phrases = tuple(tuple(phrase.casefold().split()) for phrase in words.phrases)
    return Loaded(Catalogue(newest), WordRule(words.version, phrases))


def _template(file: TemplateFile) -> Template:
    if repeated := sorted(_SHARED & file.order.keys()):
        msg = f"{file.file}: order.{repeated[0]}: this field belongs to the template, not to its order"
        raise ValueError(msg)
    shared = {"name": file.name, "version": file.version, "modes": tuple(file.modes)}
    template = parse(file.file, _Part, {"order": {**file.order, **shared}}).order
    if template.profile not in template.profiles:
        msg = f"{file.file}: order.profile: the profile is not among order.profiles"
        raise ValueError(msg)
    return template
