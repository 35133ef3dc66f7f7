"""Measurements, quality profiles, and the verdict that follows: pure values and functions."""

from services.scorer.domain.measures import Measured, Measurement, could_not_measure
from services.scorer.domain.quality_profile import (
    CustomRule,
    DimensionRule,
    Guard,
    Profile,
    Ranking,
    ScoreMapping,
)
from services.scorer.domain.verdict import CandidateScore, DimensionVerdict, RuleOutcome, judge, values_of

__all__ = [
    "CandidateScore",
    "CustomRule",
    "DimensionRule",
    "DimensionVerdict",
    "Guard",
    "Measured",
    "Measurement",
    "Profile",
    "Ranking",
    "RuleOutcome",
    "ScoreMapping",
    "could_not_measure",
    "judge",
    "values_of",
]
