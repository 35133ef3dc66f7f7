"""The arithmetic of the figures: separation, and precision and recall with limits never fitted on what they judge."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measured:
    """One value of a dimension, better when larger, minus infinity where it was not assessed; ``of`` is the photograph."""

    of: str
    value: float
    bad: bool


@dataclass(frozen=True, slots=True)
class Found:
    """Findings of a limit among bad and clean pictures."""

    true_rejections: int
    false_rejections: int
    bad: int
    clean: int

    @property
    def precision(self) -> float:
        """Share of the rejected that is bad; 1 when nothing was rejected."""
        rejected = self.true_rejections + self.false_rejections
        return self.true_rejections / rejected if rejected else 1.0

    @property
    def recall(self) -> float:
        """Share of the bad that is rejected."""
        return self.true_rejections / self.bad if self.bad else 1.0

    @property
    def false_rejection_rate(self) -> float:
        """Share of the clean that is rejected."""
        return self.false_rejections / self.clean if self.clean else 0.0


def auc(clean: Sequence[float], bad: Sequence[float]) -> float:
    """Return the chance that a clean picture reads better than a bad one; ties count half."""
    wins = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a in clean for b in bad)
    return wins / (len(clean) * len(bad))


def at_limit(readings: Sequence[Measured], limit: float) -> Found:
    """Count what a limit rejects: values below it."""
    bad = [reading for reading in readings if reading.bad]
    clean = [reading for reading in readings if not reading.bad]
    return Found(
        sum(reading.value < limit for reading in bad),
        sum(reading.value < limit for reading in clean),
        len(bad),
        len(clean),
    )


def fitted_limit(readings: Sequence[Measured]) -> float:
    """Return the limit with the best mean of recall and acceptance, in the middle of the widest gap that has it."""
    values = sorted({reading.value for reading in readings if reading.value > float("-inf")})
    if not values:
        return 0.0
    middles = [(low + high) / 2 for low, high in itertools.pairwise(values)]
    gaps = [(high - low) for low, high in itertools.pairwise(values)]
    choices = [(values[0] - 1.0, 0.0), *zip(middles, gaps, strict=True), (values[-1] + 1.0, 0.0)]

    def worth(choice: tuple[float, float]) -> tuple[float, float]:
        found = at_limit(readings, choice[0])
        return found.recall - found.false_rejection_rate, choice[1]

    return max(choices, key=worth)[0]


def leave_one_out(readings: Sequence[Measured]) -> Found:
    """Judge each photograph's pictures by a limit fitted on all other photographs."""
    total = [0, 0, 0, 0]
    for photograph in sorted({reading.of for reading in readings}):
        limit = fitted_limit([reading for reading in readings if reading.of != photograph])
        found = at_limit([reading for reading in readings if reading.of == photograph], limit)
        counts = (found.true_rejections, found.false_rejections, found.bad, found.clean)
        total = [sum_ + count for sum_, count in zip(total, counts, strict=True)]
    return Found(*total)
