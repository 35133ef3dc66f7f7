"""The register of all dimensions: one module and one table per family.

A dimension is added in three places, which tests keep in step. They are its family's table here, its name in
the same family of ``domain.measures``, and its evidence in ``dimension_docs``. Nothing else has to know of
it.
"""

from __future__ import annotations

from typing import Final

from services.scorer.dimensions.alignment import ALIGNMENT
from services.scorer.dimensions.backdrop import BACKDROP
from services.scorer.dimensions.creative import CREATIVE
from services.scorer.dimensions.dimension import Dimension
from services.scorer.dimensions.dimension_docs import DIMENSION_DOCS, DimensionDoc
from services.scorer.dimensions.headshot import HEADSHOT
from services.scorer.dimensions.likeness import LIKENESS
from services.scorer.dimensions.moderation import MODERATION
from services.scorer.dimensions.overlay import OVERLAY
from services.scorer.dimensions.pose import POSE
from services.scorer.dimensions.product import PRODUCT
from services.scorer.dimensions.removal import REMOVAL
from services.scorer.dimensions.skin import SKIN
from services.scorer.dimensions.technical import TECHNICAL
from services.scorer.dimensions.text import TEXT_FAMILY

FAMILIES: Final[dict[str, dict[str, Dimension]]] = {
    "technical": TECHNICAL,
    "overlay": OVERLAY,
    "headshot": HEADSHOT,
    "pose": POSE,
    "skin": SKIN,
    "likeness": LIKENESS,
    "backdrop": BACKDROP,
    "product": PRODUCT,
    "removal": REMOVAL,
    "moderation": MODERATION,
    "text": TEXT_FAMILY,
    "creative": CREATIVE,
    "alignment": ALIGNMENT,
}

DIMENSIONS: Final[dict[str, Dimension]] = {
    name: dimension for family in FAMILIES.values() for name, dimension in family.items()
}
"""Every dimension by name, in the order in which they are taken: cheap families first."""

__all__ = ["DIMENSIONS", "DIMENSION_DOCS", "FAMILIES", "Dimension", "DimensionDoc"]
