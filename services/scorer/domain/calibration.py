"""Limits from pictures that people accepted, with a bound on how many such pictures will be refused.

Split conformal prediction: the measure was fixed on other pictures, the limit is an order statistic of the
accepted pictures. A new picture like them lies beyond the limit with a chance of at most ``share``, under any
distribution. Source: Vovk, Gammerman and Shafer 2005; Lei et al. 2018, one-sided.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.scorer.domain.quality_profile import ScoreMapping

SEPARATES_AT: Final = 0.6
"""A dimension that tells accepted from rejected no better than this is only ever loosened, never tightened."""


class TooFewAccepted(ValueError):  # noqa: N818 (the noun of the problem)
    """There are fewer accepted pictures than a limit needs; the text says how many are needed."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A new limit in raw units, or the reason why the old one stays; ``separation`` is the AUC of rejected pictures."""

    limit: float | None
    reason: str
    separation: float | None


def needed(share: float) -> int:
    """Return how many accepted pictures a limit for this share needs."""
    return math.ceil(1.0 / share - 1e-9)


def conformal_rank(count: int, share: float) -> int:
    """Return which of ``count`` ordered values is the limit, from 1; raises TooFewAccepted."""
    if count < needed(share):
        raise TooFewAccepted(
            f"refusing at most {100 * share:g} % of good pictures needs at least {needed(share)} accepted pictures, "
            f"here are {count}"
        )
    return math.floor(share * (count + 1) + 1e-9)


def calibrate(
    mapping: ScoreMapping, accepted: Sequence[float | None], rejected: Sequence[float | None], share: float
) -> Calibrated:
    """Fit the limit of one dimension; None stands for a value that was not taken, worse than any."""
    rank = conformal_rank(len(accepted), share)
    if mapping.exactly is not None:
        return Calibrated(None, "asks for one exact value", None)
    good, bad = _rising(mapping, accepted), _rising(mapping, rejected)
    separation = _separation(good, bad)
    found = sorted(good)[rank - 1]
    if math.isinf(found):
        return Calibrated(None, "too many accepted pictures cannot be assessed", separation)
    current = mapping.raw_at(50.0)
    limit = _outward(found)
    if current is not None and (separation is None or separation < SEPARATES_AT):
        signed = current if mapping.rises else -current
        if limit >= signed:
            return Calibrated(None, "does not tell accepted from rejected: not tightened", separation)
    return Calibrated(limit if mapping.rises else -limit, "", separation)


def _rising(mapping: ScoreMapping, values: Sequence[float | None]) -> list[float]:
    sign = 1.0 if mapping.rises else -1.0
    return [-math.inf if value is None else sign * value for value in values]


def _separation(good: list[float], bad: list[float]) -> float | None:
    if not bad:
        return None
    wins = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a in good for b in bad)
    return wins / (len(good) * len(bad))


def _outward(value: float) -> float:
    """Round down to four significant digits, so that the picture at the limit passes."""
    if value == 0.0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 3)
    rounded = float(f"{math.floor(value / step + 1e-9) * step:.4g}") if step else value
    return min(rounded, value)
