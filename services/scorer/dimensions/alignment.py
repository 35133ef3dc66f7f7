"""Alignment of the picture with the prompt, and the taste of a mounted judge.

Alignment and liking need mounted towers: no package ships a pair of image and text towers. Without them a picture's
label is compared with the prompt, and only where both are plain. Either grasps subjects rather than counts, positions
or negations.
"""

from __future__ import annotations

from typing import Final

from services.scorer.dimensions.dimension import (
    Dimension,
    failed,
    not_applicable,
    ok,
    table,
    unavailable,
)
from services.scorer.domain.measures import Evidence, Measurement
from services.scorer.inference.manifest import TOWERS
from services.scorer.vision.image_analysis import ImageAnalysis
from services.scorer.vision.model_set import LABELS

PROMPT_ALIGNMENT: Final = "prompt_alignment"
AESTHETIC: Final = "aesthetic"
PROMPT_SUBJECT: Final = "prompt_subject"

_NAMED_MIN: Final = 0.5
"""A prompt this near to a label names it: things among the labels 0.50 to 0.78, people, moods and other things at most
0.48. Thirty prompts."""
_SURE_MIN: Final = 0.2
"""Below this probability the likeliest label says little: textures and things not among the labels read 0.05 to 0.17."""


def _prompt_alignment(analysis: ImageAnalysis) -> Measurement:
    """Measure the cosine between picture and prompt; its scale is the mounted pair's own."""
    if not analysis.prompt:
        return not_applicable(PROMPT_ALIGNMENT, "no_prompt")
    wanted = analysis.models.towers.of_prompt(analysis.prompt)
    return ok(PROMPT_ALIGNMENT, round(float(analysis.tower_embedding @ wanted), 4))


def _prompt_subject(analysis: ImageAnalysis) -> Measurement:
    """Compare the picture's likeliest labels with the prompt: standard deviations above an average label."""
    if not analysis.prompt:
        return not_applicable(PROMPT_SUBJECT, "no_prompt")
    named = analysis.models.labels.asked(analysis.prompt)
    if named.cosine < _NAMED_MIN:
        return unavailable(PROMPT_SUBJECT, "subject_not_among_labels", {"named": round(named.cosine, 4)})
    shown = analysis.models.labels.shown(analysis.picture.rgb)
    evidence: Evidence = {
        "named": round(named.cosine, 4),
        "shown": shown.label,
        "probability": round(shown.probability, 4),
    }
    if shown.probability < _SURE_MIN:
        return failed(PROMPT_SUBJECT, "labels_unsure", evidence)
    above = (float(shown.vector @ named.vector) - named.mean) / named.deviation
    return ok(PROMPT_SUBJECT, round(above, 4), evidence)


def _aesthetic(analysis: ImageAnalysis) -> Measurement:
    value = analysis.models.towers.head(AESTHETIC, analysis.tower_embedding)
    if value is None:
        return unavailable(
            AESTHETIC, "model_missing", {"remedy": "mount a head of this name beside the towers"}
        )
    return ok(AESTHETIC, round(value, 4))


ALIGNMENT: Final = table(
    Dimension(PROMPT_ALIGNMENT, 1, "cosine, -1..1", _prompt_alignment, (TOWERS,)),
    Dimension(PROMPT_SUBJECT, 1, "standard deviations above an average label", _prompt_subject, (LABELS,)),
    Dimension(AESTHETIC, 1, "the mounted head's own", _aesthetic, (TOWERS,)),
)
