"""Measurements, quality profiles, and the verdict that follows: pure values and functions."""

from services.scorer.domain.measures import Measured, Measurement, could_not_measure
from services.scorer.domain.quality_profile import CustomRule, DimensionRule, Guard, Mapping, Profile, Ranking
from services.scorer.domain.verdict import CandidateScore, DimensionVerdict, RuleOutcome, judge, values_of

__all__ = [
    "CandidateScore",
    "CustomRule",
    "DimensionRule",
    "DimensionVerdict",
    "Guard",
    "Mapping",
    "Measured",
    "Measurement",
    "Profile",
    "Ranking",
    "RuleOutcome",
    "could_not_measure",
    "judge",
    "values_of",
]
