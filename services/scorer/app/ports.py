"""Ports: the outside as the scorer's use cases need it."""

from __future__ import annotations

from typing import Protocol

from services.scorer.domain import Measured, Profile, RuleOutcome
from services.scorer.domain.references import NO_REFERENCES, References
from services.scorer.domain.verdict import Values


class ObjectReader(Protocol):
    """Reads stored objects."""

    async def get(self, bucket: str, key: str) -> bytes:
        """Return an object's bytes.

        Raises NotFound for an absent object, Refused (``image_too_large``) for a larger one than is read,
        Unavailable when the store does not answer.
        """
        ...


class Measurer(Protocol):
    """Takes measurements; never raises for any content."""

    async def measure(
        self, content: bytes, wanted: frozenset[str], references: References = NO_REFERENCES
    ) -> Measured:
        """Measure the wanted dimensions of an encoded picture, compared with the references."""
        ...


class Profiles(Protocol):
    """Knows the quality profiles."""

    def get(self, name: str, version: int | None = None) -> Profile:
        """Return a version, or the newest; raises Refused with ``unknown_profile``."""
        ...

    def all(self) -> list[Profile]:
        """Return every version."""
        ...


class Rules(Protocol):
    """Decides custom rules."""

    def evaluate(self, expression: str, values: Values) -> RuleOutcome:
        """Decide an expression; errors are an undecided outcome."""
        ...
