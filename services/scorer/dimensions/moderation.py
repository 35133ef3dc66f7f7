"""Moderation: how likely a picture shows nudity. Measured before anything can be delivered, where the model is."""

from __future__ import annotations

from typing import Final

from services.scorer.dimensions.dimension import Dimension, ok, table
from services.scorer.domain.measures import NSFW, Measurement
from services.scorer.vision.image_analysis import ImageAnalysis
from services.scorer.vision.model_set import NSFW as NSFW_MODEL


def _nsfw(analysis: ImageAnalysis) -> Measurement:
    """Measure the probability of open_nsfw. Clothed people read up to 0.07; recall was never measured here."""
    probability = float(analysis.models.network(NSFW_MODEL).see(analysis.moderation_crop)[1])
    return ok(NSFW, round(probability, 4))


MODERATION: Final = table(Dimension(NSFW, 1, "probability, 0..1", _nsfw, (NSFW_MODEL,)))
