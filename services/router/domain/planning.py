"""Plan of a round: candidates that it needs, and those that the cost cap allows."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, exp, lgamma, log, log1p
from typing import Final

from services.router.domain.catalogue import PPM

RATE_MIN_PPM: Final = 20_000
"""A pass rate below 2 % is planned as 2 %: the cost cap stops a hopeless task, not the plan."""

_EXACT_MAX: Final = 60


def tail_ppm(count: int, wanted: int, rate_ppm: int) -> int:
    """Return P(Binomial(count, rate) >= wanted) in parts per million."""
    if wanted <= 0:
        return PPM
    if count < wanted:
        return 0
    rate = rate_ppm / PPM
    if rate >= 1.0:
        return PPM
    below = sum(_mass(count, passed, rate) for passed in range(wanted))
    return max(0, min(PPM, round((1.0 - below) * PPM)))


def _mass(count: int, passed: int, rate: float) -> float:
    if count <= _EXACT_MAX:
        return float(comb(count, passed) * rate**passed * (1.0 - rate) ** (count - passed))
    # Logarithms: the powers of a long round underflow.
    logarithm = lgamma(count + 1) - lgamma(passed + 1) - lgamma(count - passed + 1)
    return exp(logarithm + passed * log(rate) + (count - passed) * log1p(-rate))


def plan_count(wanted: int, rate_ppm: int, *, confidence_ppm: int, count_max: int) -> int:
    """Return the smallest N with P(at least ``wanted`` of N pass) >= confidence, at most ``count_max``.

    Source: the binomial tail (docs/design.md#over-generation).
    """
    if wanted <= 0 or count_max <= 0:
        return 0
    rate_ppm = max(RATE_MIN_PPM, min(PPM, rate_ppm))
    low, high = wanted, wanted
    while high < count_max and tail_ppm(high, wanted, rate_ppm) < confidence_ppm:
        low, high = high + 1, min(count_max, high * 2)
    while low < high:
        middle = (low + high) // 2
        if tail_ppm(middle, wanted, rate_ppm) >= confidence_ppm:
            high = middle
        else:
            low = middle + 1
    return min(low, count_max)


def blended_rate_ppm(prior_ppm: int, prior_weight: int, *, passed: int, scored: int) -> int:
    """Blend a learnt rate, worth ``prior_weight`` verdicts, with the task's own verdicts."""
    return (prior_ppm * prior_weight + passed * PPM) // max(1, prior_weight + scored)


def affordable_count(price_usd_micro: int, *, committed_usd_micro: int, cap_usd_micro: int) -> int:
    """Return how many more images of a price the cap allows."""
    room = cap_usd_micro - committed_usd_micro
    if room <= 0:
        return 0
    return room // price_usd_micro if price_usd_micro > 0 else PPM


@dataclass(frozen=True, slots=True)
class Estimate:
    """Learnt expectation of a template and mode now: an input to a plan."""

    pass_rate_ppm: int
    price_usd_micro: int
    offering: str
