"""Dimensions of a product picture: one subject that stands alone before an even ground."""

from __future__ import annotations

from typing import Final

from services.scorer.clients.dimensions.dimension import Dimension, table
from services.scorer.clients.look import Look, Region
from services.scorer.domain.measures import ISOLATION, Measurement
from winnow.contracts.values import MeasureStatus


def _isolation(look: Look) -> Measurement:
    found = look.isolation
    evidence = {
        "even_share": round(found.even_share, 4),
        "main_share": round(found.main_share, 4),
        "area_share": round(found.area_share, 4),
        "offset": round(found.offset, 4),
    }
    return Measurement(ISOLATION, MeasureStatus.ok, round(found.margin, 4), evidence)


PRODUCT: Final = table(
    Dimension(ISOLATION, 2, "multiple of the weakest part's limit", _isolation, follows=Region.subject),
)
