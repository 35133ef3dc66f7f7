"""Reads quality profiles for the audit, by rules of its own: an audit that ran the scorer's code would share its faults."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from winnow.contracts.values import MeasureStatus, ProfileRef

SHIPPED: Final = Path(__file__).resolve().parents[2] / "services/scorer/profiles"
"""The profile versions of this release; absent where only the audit is installed."""
SCORE_MAX: Final = 100.0
_EXPONENT_MAX: Final = 700.0
_CUSTOM_TIER: Final = 3


@dataclass(frozen=True, slots=True)
class ScoreMap:
    """The map ``clamp(0..100, h * (a + s * sigmoid((raw - x0) / w)))``, or 100 for ``exactly`` and 0 for the rest."""

    x0: float = 0.0
    w: float = 1.0
    h: float = SCORE_MAX
    a: float = 0.0
    s: float = 1.0
    exactly: float | None = None

    def score(self, raw: float) -> float:
        """Return the score of a raw value, rounded to 2 decimals; 0 for a value that is no number."""
        if math.isnan(raw):
            return 0.0
        if self.exactly is not None:
            return SCORE_MAX if raw == self.exactly else 0.0
        exponent = max(-_EXPONENT_MAX, min(_EXPONENT_MAX, (self.x0 - raw) / self.w))
        return round(max(0.0, min(SCORE_MAX, self.h * (self.a + self.s / (1.0 + math.exp(exponent))))), 2)


_PUBLISHED: Final = {
    "inter_eye_distance": ScoreMap(x0=70.0, w=20.0),
    "head_size": ScoreMap(x0=0.0, w=0.05, h=200.0, a=1.0, s=-1.0),
    "margin_left": ScoreMap(x0=0.9, w=0.1),
    "margin_right": ScoreMap(x0=0.9, w=0.1),
    "margin_above": ScoreMap(x0=1.4, w=0.1),
    "margin_below": ScoreMap(x0=1.8, w=0.1),
    "mouth_closed": ScoreMap(x0=0.2, w=0.06, a=1.0, s=-1.0),
    "natural_colour": ScoreMap(x0=0.0, w=10.0, h=200.0, a=1.0, s=-1.0),
    "background_uniformity": ScoreMap(x0=10.0, w=100.0, h=190.0, a=1.0, s=-1.0),
}
"""The maps of dimensions for which a profile gives none (ISO/IEC 29794-5 reference implementation, OFIQ 1.0.3)."""


@dataclass(frozen=True, slots=True)
class DimensionRule:
    """The demand of a profile on a dimension; ``guards`` are evidence and the least value at which raw is believed."""

    name: str
    tier: int
    required: bool
    threshold: float
    weight: float
    map: ScoreMap
    guards: tuple[tuple[str, float], ...] = ()
    excuses: frozenset[MeasureStatus] = frozenset()

    def requires(self, status: MeasureStatus) -> bool:
        """Return whether a measure with this status must pass."""
        return self.required and status not in self.excuses


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile version. ``rules`` holds its dimensions and its custom rules by name."""

    ref: ProfileRef
    sha256: str
    ranking: Literal["mean", "minimum"]
    rules: Mapping[str, DimensionRule]

    @property
    def label(self) -> str:
        """Return the name with the version, for people."""
        return label_of(self.ref)


Profiles = Mapping[str, Profile]
"""The profile versions at hand, by the sha256 of their content."""


def label_of(ref: ProfileRef) -> str:
    """Return the name of a profile with its version."""
    return f"{ref.name}@{ref.version}"


class ProfileUnreadable(ValueError):  # noqa: N818 (the state of the file)
    """A profile file cannot be read; the text names it."""


class _Part(BaseModel):
    # A field that this reader does not know would change the hash, so it is refused.
    model_config = ConfigDict(frozen=True, extra="forbid")


class _MapPart(_Part):
    rises_at: float | None = None
    falls_at: float | None = None
    exactly: float | None = None
    width: Annotated[float, Field(gt=0)] = 1.0

    def to_map(self) -> ScoreMap:
        if self.exactly is not None:
            return ScoreMap(exactly=self.exactly)
        if self.falls_at is not None:
            return ScoreMap(x0=self.falls_at, w=self.width, a=1.0, s=-1.0)
        return ScoreMap(x0=self.rises_at or 0.0, w=self.width)


class _GuardPart(_Part):
    evidence: str
    minimum: float


class _DimensionPart(_Part):
    name: str
    tier: int
    required: bool = True
    threshold: float = 50.0
    weight: float = 1.0
    mapping: _MapPart | None = None
    guards: tuple[_GuardPart, ...] = ()
    excuses: tuple[Literal["unavailable", "not_applicable"], ...] = ()

    def to_rule(self) -> DimensionRule:
        if self.mapping is None and self.name not in _PUBLISHED:
            msg = f"{self.name} has no mapping"
            raise ProfileUnreadable(msg)
        return DimensionRule(
            name=self.name,
            tier=self.tier,
            required=self.required,
            threshold=self.threshold,
            weight=self.weight,
            map=self.mapping.to_map() if self.mapping is not None else _PUBLISHED[self.name],
            guards=tuple((guard.evidence, guard.minimum) for guard in self.guards),
            excuses=frozenset(MeasureStatus(excuse) for excuse in self.excuses),
        )


class _RulePart(_Part):
    name: str
    expression: str
    required: bool = True

    def to_rule(self) -> DimensionRule:
        true = ScoreMap(exactly=1.0)
        return DimensionRule(self.name, _CUSTOM_TIER, self.required, SCORE_MAX, 0.0, true)


class _WordListPart(_Part):
    name: str
    words: tuple[str, ...]
    distance_max: int | None = None


class _ProfilePart(_Part):
    name: str
    version: int
    ranking: Literal["mean", "minimum"] = "mean"
    dimensions: tuple[_DimensionPart, ...]
    word_lists: tuple[_WordListPart, ...] = ()
    rules: tuple[_RulePart, ...] = ()

    def to_rules(self) -> list[DimensionRule]:
        return [
            *(dimension.to_rule() for dimension in self.dimensions),
            *(rule.to_rule() for rule in self.rules),
        ]


def parse_profile(text: str) -> Profile:
    """Parse a profile file; raises ProfileUnreadable, ``yaml.YAMLError`` and pydantic's ValidationError."""
    part = _ProfilePart.model_validate(yaml.safe_load(text))
    content = part.model_dump(mode="json", exclude=None if part.word_lists else {"word_lists"})
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return Profile(
        ref=ProfileRef(name=part.name, version=part.version),
        sha256=hashlib.sha256(canonical.encode()).hexdigest(),
        ranking=part.ranking,
        rules={rule.name: rule for rule in part.to_rules()},
    )


def read_profiles(directories: Iterable[Path]) -> Profiles:
    """Read every ``*.yaml`` of these directories; raises ProfileUnreadable, which names the file."""
    found: dict[str, Profile] = {}
    for directory in directories:
        for path in sorted(directory.glob("*.yaml")):
            try:
                profile = parse_profile(path.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError, ProfileUnreadable) as error:
                msg = f"the profile {path} cannot be read: {error}"
                raise ProfileUnreadable(msg) from error
            found[profile.sha256] = profile
    return found
