"""The templates that can be ordered, as values; the files lie in ``catalogue/``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from winnow.contracts.values import Mode, ProfileRef, TemplateRef


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the greatest value allowed, both included."""

    least: int
    greatest: int

    def hold(self, value: int) -> bool:
        """Return whether the value lies inside."""
        return self.least <= value <= self.greatest


@dataclass(frozen=True, slots=True)
class Template:
    """A versioned recipe as clients see it. Sizes are pixels, in steps of ``size_step``.

    ``wording`` says whether its profiles judge the words and colours that an order names.
    """

    name: str
    version: int
    title: str
    description: str
    modes: tuple[Mode, ...]
    profile: ProfileRef
    profiles: tuple[ProfileRef, ...]
    k: Bounds
    size: Bounds
    size_step: int
    default_width: int
    default_height: int
    deadline_s: Bounds
    default_deadline_s: int
    inputs: Bounds
    wording: bool = False

    @property
    def ref(self) -> TemplateRef:
        """Name the template, pinned by version."""
        return TemplateRef(name=self.name, version=self.version)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every template by name; one version of each can be ordered."""

    templates: Mapping[str, Template]


@dataclass(frozen=True, slots=True)
class WordRule:
    """The prompt rule: a list of words and phrases that refuse a prompt.

    It is a word list and nothing more: it finds exact words, it does not understand a prompt.
    """

    version: int
    phrases: tuple[tuple[str, ...], ...]

    def refuses(self, prompt: str) -> bool:
        """Return whether the prompt holds a listed word or phrase as whole words, in any case."""
        words = "".join(letter if letter.isalnum() else " " for letter in prompt.casefold()).split()
        present = set(words)
        return any(
            tuple(words[start : start + len(phrase)]) == phrase
            for phrase in self.phrases
            if present.issuperset(phrase)
            for start in range(len(words) - len(phrase) + 1)
        )
