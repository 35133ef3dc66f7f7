"""Quality profiles as plain values: which dimensions count, how raw values become scores, what must hold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from winnow.contracts.values import MeasureStatus

SCORE_MAX = 100.0
_EXPONENT_MAX = 700.0


class Ranking(StrEnum):
    """Ranking: the map of the dimension scores to the score that orders candidates."""

    mean = "mean"
    minimum = "minimum"


@dataclass(frozen=True, slots=True)
class ScoreMapping:
    """The map from a raw value to a score: ``clamp(0..100, h * (a + s * sigmoid((raw - x0) / w)))``.

    With ``h`` 100, ``a`` 0, ``s`` 1 the score rises and is 50 at ``x0``; with ``a`` 1, ``s`` -1 it falls.
    ``exactly`` set instead gives 100 for that raw value and 0 for any other.

    Source: scalar mapping of the ISO/IEC 29794-5 reference implementation (OFIQ 1.0).
    """

    x0: float = 0.0
    w: float = 1.0
    h: float = SCORE_MAX
    a: float = 0.0
    s: float = 1.0
    exactly: float | None = None

    def score(self, raw: float) -> float:
        """Return the score of a raw value, in 0..100 rounded to 2 decimals; 0 for a value that is no number."""
        if math.isnan(raw):
            return 0.0
        if self.exactly is not None:
            return SCORE_MAX if raw == self.exactly else 0.0
        exponent = max(-_EXPONENT_MAX, min(_EXPONENT_MAX, (self.x0 - raw) / self.w))
        scaled = self.h * (self.a + self.s / (1.0 + math.exp(exponent)))
        return round(max(0.0, min(SCORE_MAX, scaled)), 2)

    @property
    def rises(self) -> bool:
        """Return whether a larger raw value is the better one."""
        return self.s > 0

    def raw_at(self, score: float) -> float | None:
        """Return the raw value that has this score; None where no raw value has it."""
        if self.exactly is not None:
            return self.exactly
        share = (score / self.h - self.a) / self.s
        return self.x0 + self.w * math.log(share / (1.0 - share)) if 0.0 < share < 1.0 else None


@dataclass(frozen=True, slots=True)
class Guard:
    """A condition on a measurement's own evidence, without which its raw value must not be believed."""

    evidence: str
    minimum: float


@dataclass(frozen=True, slots=True)
class DimensionRule:
    """Requirement of a profile for one dimension: it passes when its score reaches ``threshold`` (0..100).

    ``excuses`` are the statuses under which it is not required after all. ``unavailable`` suits an
    installation that may do without the model, ``not_applicable`` an order that may have nothing to compare
    with.
    """

    name: str
    tier: int
    required: bool
    threshold: float
    weight: float
    mapping: ScoreMapping
    guards: tuple[Guard, ...] = ()
    excuses: frozenset[MeasureStatus] = frozenset()


@dataclass(frozen=True, slots=True)
class CustomRule:
    """An expression (CEL) over all measured values that must be true."""

    name: str
    expression: str
    required: bool


@dataclass(frozen=True, slots=True)
class WordList:
    """Words and phrases to look for in the text of a picture; see ``brand_words`` for ``distance_max``."""

    name: str
    words: tuple[str, ...]
    distance_max: int | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """A version of a quality profile; ``sha256`` is the hash of its content, for the record."""

    name: str
    version: int
    ranking: Ranking
    dimensions: tuple[DimensionRule, ...]
    rules: tuple[CustomRule, ...]
    sha256: str
    word_lists: tuple[WordList, ...] = ()

    def wanted(self) -> frozenset[str]:
        """Name the dimensions that must be measured."""
        return frozenset(rule.name for rule in self.dimensions)
