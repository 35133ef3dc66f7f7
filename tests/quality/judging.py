"""Judges pictures of the labelled set with the scorer's own measures and built-in profiles."""

from __future__ import annotations

import math
from functools import cache

from services.scorer.clients.profiles import BUILT_IN, ProfileCatalog, load_profiles
from services.scorer.clients.rules import CelRules
from services.scorer.domain import CandidateScore, DimensionVerdict, Profile
from services.scorer.tools.desk import Desk
from tests.quality.figures import Measured
from tests.quality.pictures import HARMLESS, TECHNICAL, scene


@cache
def desk() -> Desk:
    return Desk()


@cache
def profiles() -> ProfileCatalog:
    return load_profiles(BUILT_IN, CelRules())


def judged(content: bytes, profile: str, reference: bytes | None = None) -> CandidateScore:
    return desk().score(content, profiles().get(profile), reference)


def missed(found: CandidateScore) -> set[str]:
    """Name the required dimensions that did not pass."""
    return {reason.partition(":")[0] for reason in found.reasons}


def measures(profile: str, dimension: str) -> bool:
    return dimension in profiles().get(profile).wanted()


def value_of(verdict: DimensionVerdict, profile: Profile) -> float:
    """Return a raw value so that larger is better; minus infinity where nothing could be assessed."""
    if verdict.raw is None:
        return -math.inf
    mapping = next(rule.mapping for rule in profile.dimensions if rule.name == verdict.name)
    if mapping.exactly is not None:
        return verdict.score or 0.0
    return verdict.raw if mapping.rises else -verdict.raw


@cache
def clean_scores(name: str) -> tuple[CandidateScore, ...]:
    """Judge every harmless variant of a scene."""
    return tuple(judged(encode(scene(name)), "general") for encode in HARMLESS.values())


def technical_readings(dimension: str, defects: list[str], scenes: tuple[str, ...]) -> list[Measured]:
    """Read a dimension on all harmless variants and on the named defects of every scene."""
    profile = profiles().get("general")

    def reading(found: CandidateScore, name: str, *, bad: bool) -> Measured:
        verdict = next(verdict_of for verdict_of in found.dimensions if verdict_of.name == dimension)
        return Measured(name, value_of(verdict, profile), bad)

    readings = []
    for name in scenes:
        readings += [reading(found, name, bad=False) for found in clean_scores(name)]
        for of, defect, _, _ in TECHNICAL:
            if of == dimension and defect in defects:
                readings.append(reading(defective(name, defect), name, bad=True))
    return readings


@cache
def defective(name: str, defect: str) -> CandidateScore:
    """Judge a scene with one technical defect."""
    encode = next(encode for _, known, _, encode in TECHNICAL if known == defect)
    return judged(encode(scene(name)), "general")
