"""Whether the picture shows what was asked, and how a mounted judge likes it.

Both need mounted towers: no package ships a pair of image and text towers, and what the default set could say from
labels is too coarse to fail anything by. A cosine grasps subjects rather than counts, positions or negations.
"""

from __future__ import annotations

from typing import Final

from services.scorer.clients.dimensions.dimension import Dimension, not_applicable, ok, table, unavailable
from services.scorer.clients.look import Look
from services.scorer.clients.model_set import TOWERS
from services.scorer.domain.measures import Measurement

PROMPT_ALIGNMENT: Final = "prompt_alignment"
AESTHETIC: Final = "aesthetic"


def _prompt_alignment(look: Look) -> Measurement:
    """Measure the cosine between picture and prompt; its scale is the mounted pair's own."""
    if not look.prompt:
        return not_applicable(PROMPT_ALIGNMENT, "no_prompt")
    wanted = look.models.towers.of_prompt(look.prompt)
    return ok(PROMPT_ALIGNMENT, round(float(look.tower_embedding @ wanted), 4))


def _aesthetic(look: Look) -> Measurement:
    value = look.models.towers.head(AESTHETIC, look.tower_embedding)
    if value is None:
        return unavailable(
            AESTHETIC, "model_missing", {"remedy": "mount a head of this name beside the towers"}
        )
    return ok(AESTHETIC, round(value, 4))


ALIGNMENT: Final = table(
    Dimension(PROMPT_ALIGNMENT, 1, "cosine, -1..1", _prompt_alignment, (TOWERS,)),
    Dimension(AESTHETIC, 1, "the mounted head's own", _aesthetic, (TOWERS,)),
)
