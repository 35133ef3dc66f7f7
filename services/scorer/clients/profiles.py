"""Quality profiles from versioned YAML files, validated whole at load."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from services.scorer.clients.rules import CelRules, RuleInvalid
from services.scorer.domain.measures import DECODABLE, TIERS
from services.scorer.domain.published import PUBLISHED
from services.scorer.domain.quality_profile import (
    CustomRule,
    DimensionRule,
    Guard,
    Profile,
    Ranking,
    ScoreMapping,
    WordList,
)
from services.scorer.domain.rule_types import suggestion
from services.scorer.domain.vocabulary import Type, reads_text, schema_of
from winnow.contracts.errors import ErrorCode, Refused
from winnow.contracts.values import MeasureStatus

BUILT_IN: Final = Path(__file__).parent.parent / "profiles"


Excuse = Literal["unavailable", "not_applicable"]


class ProfileInvalid(Exception):  # noqa: N818 (the noun of the problem)
    """A profile file cannot be used; the text names the file and the fault."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MappingPart(_Part):
    """Map of raw values to scores; see ``domain.quality_profile.Mapping``."""

    rises_at: float | None = None
    falls_at: float | None = None
    exactly: float | None = None
    width: Annotated[float, Field(gt=0)] = 1.0

    @model_validator(mode="after")
    def _one_form(self) -> MappingPart:
        if sum(form is not None for form in (self.rises_at, self.falls_at, self.exactly)) != 1:
            raise ValueError("a mapping has exactly one of rises_at, falls_at, exactly")
        return self

    def to_domain(self) -> ScoreMapping:
        """Return the plain value."""
        if self.exactly is not None:
            return ScoreMapping(exactly=self.exactly)
        if self.falls_at is not None:
            return ScoreMapping(x0=self.falls_at, w=self.width, a=1.0, s=-1.0)
        return ScoreMapping(x0=self.rises_at or 0.0, w=self.width)


class GuardPart(_Part):
    """A condition on the dimension's evidence."""

    evidence: str
    minimum: float


class DimensionPart(_Part):
    """Requirement of a dimension."""

    name: str
    tier: Annotated[int, Field(ge=1, le=2)]
    required: bool = True
    threshold: Annotated[float, Field(gt=0, le=100)] = 50.0
    weight: Annotated[float, Field(ge=0, le=100)] = 1.0
    # Without one, the published map of this dimension.
    mapping: MappingPart | None = None
    guards: tuple[GuardPart, ...] = ()
    excuses: tuple[Excuse, ...] = ()

    @model_validator(mode="after")
    def _known(self) -> DimensionPart:
        if self.name not in TIERS:
            raise ValueError(f"no dimension {self.name} is measured: {suggestion(self.name, list(TIERS))}")
        if TIERS.get(self.name) != self.tier:
            raise ValueError(f"no dimension {self.name} of tier {self.tier} is measured")
        numbers = [name for name, type_ in schema_of([self.name])[self.name].items() if type_ is Type.double]
        for guard in self.guards:
            if guard.evidence not in numbers:
                raise ValueError(
                    f"{self.name} shows no number {guard.evidence}: {suggestion(guard.evidence, numbers)}"
                )
        if self.mapping is None and self.name not in PUBLISHED:
            raise ValueError(f"{self.name} needs a mapping: there is no published one")
        return self


class RulePart(_Part):
    """A custom rule, tier 3."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    expression: Annotated[str, Field(min_length=1, max_length=1000)]
    required: bool = True


class WordListPart(_Part):
    """Words to look for in the text of a picture; a rule reads ``<name>.words``, those that were found."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    words: Annotated[
        tuple[Annotated[str, Field(min_length=2, max_length=64)], ...], Field(min_length=1, max_length=200)
    ]
    distance_max: Annotated[int, Field(ge=0, le=4)] | None = None


class ProfilePart(_Part):
    """A profile file."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
    version: Annotated[int, Field(ge=1)]
    ranking: Ranking = Ranking.mean
    dimensions: Annotated[tuple[DimensionPart, ...], Field(min_length=1)]
    word_lists: Annotated[tuple[WordListPart, ...], Field(max_length=20)] = ()
    rules: Annotated[tuple[RulePart, ...], Field(max_length=100)] = ()

    @model_validator(mode="after")
    def _distinct(self) -> ProfilePart:
        names = [dimension.name for dimension in self.dimensions] + [rule.name for rule in self.rules]
        names += [words.name for words in self.word_lists]
        if len(names) != len(set(names)):
            raise ValueError("a name is used twice")
        if not any(part.name == DECODABLE and part.required for part in self.dimensions):
            raise ValueError(f"{DECODABLE} is required in every profile")
        if self.word_lists and not reads_text(part.name for part in self.dimensions):
            raise ValueError("a word list needs a dimension that reads text")
        return self


class ProfileCatalog:
    """All profile versions, found by name and version."""

    def __init__(self, profiles: list[Profile]) -> None:
        """Index the profiles."""
        self._profiles = {(profile.name, profile.version): profile for profile in profiles}

    def get(self, name: str, version: int | None = None) -> Profile:
        """Return a version of a profile, or the newest one; raises Refused with ``unknown_profile``."""
        if version is None:
            version = max((known for named, known in self._profiles if named == name), default=0)
        profile = self._profiles.get((name, version))
        if profile is None:
            raise Refused(ErrorCode.unknown_profile, "this quality profile version does not exist")
        return profile

    def all(self) -> list[Profile]:
        """Return every profile version, by name and version."""
        return [self._profiles[key] for key in sorted(self._profiles)]


def load_profiles(directory: Path, rules: CelRules) -> ProfileCatalog:
    """Read every ``*.yaml`` of a directory; raises ProfileInvalid, naming the file."""
    profiles: dict[tuple[str, int], Profile] = {}
    for path in sorted(directory.glob("*.yaml")):
        profile = read_profile(path, rules)
        if (profile.name, profile.version) in profiles:
            raise ProfileInvalid(f"{path.name}: version {profile.version} of {profile.name} exists already")
        profiles[profile.name, profile.version] = profile
    if not profiles:
        raise ProfileInvalid("there is no profile")
    return ProfileCatalog(list(profiles.values()))


def read_profile(path: Path, rules: CelRules) -> Profile:
    """Read one file; raises ProfileInvalid, naming the file and each fault."""
    try:
        return parse_profile(path.read_text(encoding="utf-8"), rules)
    except ValidationError as error:
        faults = "; ".join(_fault(detail) for detail in error.errors())
        raise ProfileInvalid(f"{path.name}: {faults}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RuleInvalid) as error:
        raise ProfileInvalid(f"{path.name}: {error}") from error


def _fault(error: ErrorDetails) -> str:
    place = ".".join(str(step) for step in error["loc"])
    sentence = error["msg"].removeprefix("Value error, ")
    return f"{place}: {sentence}" if place else sentence


def parse_profile(text: str, rules: CelRules) -> Profile:
    """Parse one profile; raises yaml.YAMLError, ValidationError or RuleInvalid."""
    document: Any = yaml.safe_load(text)
    part = ProfilePart.model_validate(document)
    schema = schema_of((each.name for each in part.dimensions), (each.name for each in part.word_lists))
    for rule in part.rules:
        try:
            rules.check(rule.expression, schema)
        except RuleInvalid as error:
            raise RuleInvalid(f"rule {rule.name}: {error}") from error
    # What is not used leaves no trace, so that profiles written before it existed keep their hash.
    content = part.model_dump(mode="json", exclude=None if part.word_lists else {"word_lists"})
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return Profile(
        name=part.name,
        version=part.version,
        ranking=part.ranking,
        dimensions=tuple(_dimension(dimension) for dimension in part.dimensions),
        rules=tuple(CustomRule(rule.name, rule.expression, rule.required) for rule in part.rules),
        sha256=hashlib.sha256(canonical.encode()).hexdigest(),
        word_lists=tuple(WordList(each.name, each.words, each.distance_max) for each in part.word_lists),
    )


def _dimension(part: DimensionPart) -> DimensionRule:
    return DimensionRule(
        name=part.name,
        tier=part.tier,
        required=part.required,
        threshold=part.threshold,
        weight=part.weight,
        mapping=part.mapping.to_domain() if part.mapping is not None else PUBLISHED[part.name],
        guards=tuple(Guard(guard.evidence, guard.minimum) for guard in part.guards),
        excuses=frozenset(MeasureStatus(excuse) for excuse in part.excuses),
    )
