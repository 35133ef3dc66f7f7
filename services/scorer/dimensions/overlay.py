"""Marks laid over the picture again and again, and cards with a notice in its place."""

from __future__ import annotations

from typing import Final

from services.scorer.dimensions.dimension import Dimension, not_applicable, ok, table
from services.scorer.domain.measures import Measurement
from services.scorer.vision.image_analysis import ImageAnalysis
from services.scorer.vision.overlays import flat_share, repetition

REPEATED_MARK: Final = "repeated_mark"
PLACEHOLDER: Final = "placeholder"


def _repeated_mark(analysis: ImageAnalysis) -> Measurement:
    """Measure the likeness of the fine detail with itself, shifted; texture throughout hides any mark."""
    found = repetition(analysis.picture.grey)
    if found.likeness is None:
        return not_applicable(REPEATED_MARK, "no_calm_part")
    evidence = {"calm_share": round(found.calm_share, 4), "step": round(found.step, 4)}
    return ok(REPEATED_MARK, round(found.likeness, 4), evidence)


def _placeholder(analysis: ImageAnalysis) -> Measurement:
    return ok(PLACEHOLDER, round(flat_share(analysis.picture.grey), 4))


OVERLAY: Final = table(
    Dimension(
        REPEATED_MARK, 1, "likeness of the detail to itself, shifted", _repeated_mark, sees_colour=False
    ),
    Dimension(
        PLACEHOLDER, 1, "share of the frame in its two commonest tones", _placeholder, sees_colour=False
    ),
)
