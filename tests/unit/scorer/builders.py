"""Rules, profiles and drawn measurements of the scorer."""

from __future__ import annotations

from hypothesis import strategies as st

from services.scorer.domain import (
    CustomRule,
    DimensionRule,
    Guard,
    Measured,
    Measurement,
    Profile,
    Ranking,
    ScoreMapping,
)
from winnow.contracts.values import MeasureStatus

RAW = st.floats(allow_nan=True, allow_infinity=True)
FINITE = st.floats(-1e9, 1e9)
NAMES = ("sharpness", "noise", "face_count")


def rule(
    name: str, *, required: bool = True, guards: tuple[Guard, ...] = (), weight: float = 1.0
) -> DimensionRule:
    return DimensionRule(name, 1, required, 50.0, weight, ScoreMapping(x0=1.0, w=0.2), guards)


def profile(
    *rules: DimensionRule, custom: tuple[CustomRule, ...] = (), ranking: Ranking = Ranking.mean
) -> Profile:
    return Profile("p", 1, ranking, rules, custom, "0" * 64)


MEASUREMENT = st.builds(
    Measurement,
    name=st.sampled_from(NAMES),
    status=st.sampled_from(MeasureStatus),
    raw=st.none() | RAW,
    evidence=st.dictionaries(st.sampled_from(["presence", "reason"]), st.floats(0, 1) | st.just("word")),
)
MEASURED = st.builds(
    lambda each: Measured(tuple({measurement.name: measurement for measurement in each}.values())),
    st.lists(MEASUREMENT),
)
