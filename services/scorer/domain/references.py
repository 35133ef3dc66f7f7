"""Inputs of the client beside the candidates: a picture of the person, and the words of the order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from services.scorer.domain.measures import Measured, Measurement
from winnow.contracts.values import MeasureStatus

LIKE_REFERENCE: Final = frozenset({"identity_distance", "skin_tone_shift"})
"""Dimensions that compare with a reference picture."""
LIKE_PROMPT: Final = frozenset({"prompt_alignment", "prompt_subject"})
"""Dimensions that compare with the prompt."""
LIKE_COPY: Final = frozenset({"copy_distance", "copy_extra", "copy_legibility"})
"""Dimensions that compare with the words that the order wants to stand in the picture."""
LIKE_COLOURS: Final = frozenset({"brand_colour"})
"""Dimensions that compare with the brand colours of the order."""
LIKE_REQUEST: Final = LIKE_PROMPT | LIKE_COPY | LIKE_COLOURS


@dataclass(frozen=True, slots=True)
class Wording:
    """Wording that the order wants to be seen.

    ``copy`` line by line (empty for none), ``brand_colours`` as ``#rrggbb``.
    """

    copy: str = field(default="", repr=False)
    brand_colours: tuple[str, ...] = field(default=(), repr=False)


NO_WORDING: Final = Wording()
_COLOUR: Final = re.compile(r"#[0-9a-fA-F]{6}")


def is_colour(text: str) -> bool:
    """Return whether this is a colour as orders write it: ``#rrggbb``."""
    return _COLOUR.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class References:
    """Inputs that candidates are compared with: a picture, a prompt (empty for none), words.

    Never shown or logged.
    """

    reference: bytes | None = field(default=None, repr=False)
    prompt: str = field(default="", repr=False)
    wording: Wording = field(default=NO_WORDING, repr=False)


NO_REFERENCES: Final = References()


@dataclass(frozen=True, slots=True)
class MissingInput:
    """Reason why there is nothing to compare with, as a stable word; a fault is ``failure_to_assess``."""

    status: MeasureStatus
    reason: str


def explain_missing(measured: Measured, missing: Mapping[str, MissingInput]) -> Measured:
    """Return the measurements with the reason of every dimension in ``missing``; all others stay."""
    return replace(
        measured,
        measurements=tuple(_explained(measurement, missing) for measurement in measured.measurements),
    )


def _explained(found: Measurement, missing: Mapping[str, MissingInput]) -> Measurement:
    missing_input = missing.get(found.name)
    if missing_input is None or found.status is not MeasureStatus.not_applicable:
        return found
    return Measurement(found.name, missing_input.status, evidence={"reason": missing_input.reason})
