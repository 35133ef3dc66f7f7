"""What the client gave beside the candidates: a picture of the person, and the words of the order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from services.scorer.domain.measures import Measured, Measurement
from winnow.contracts.values import MeasureStatus

LIKE_REFERENCE: Final = frozenset({"identity_distance", "skin_tone_shift"})
"""Dimensions that compare with a reference picture."""
LIKE_PROMPT: Final = frozenset({"prompt_alignment"})
"""Dimensions that compare with the prompt."""


@dataclass(frozen=True, slots=True)
class Given:
    """What candidates are compared with: an encoded picture, and a prompt (empty for none). Never shown or logged."""

    reference: bytes | None = field(default=None, repr=False)
    prompt: str = field(default="", repr=False)


NOTHING_GIVEN: Final = Given()


@dataclass(frozen=True, slots=True)
class Lack:
    """Why there is nothing to compare with, as a stable word; a fault is ``failure_to_assess``."""

    status: MeasureStatus
    reason: str


def explained(measured: Measured, lacks: Mapping[str, Lack]) -> Measured:
    """Say of the dimensions in ``lacks`` why they did not apply; whatever else was found stays."""
    return replace(measured, measurements=tuple(_explained(one, lacks) for one in measured.measurements))


def _explained(found: Measurement, lacks: Mapping[str, Lack]) -> Measurement:
    lack = lacks.get(found.name)
    if lack is None or found.status is not MeasureStatus.not_applicable:
        return found
    return Measurement(found.name, lack.status, evidence={"reason": lack.reason})
