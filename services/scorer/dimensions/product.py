"""Dimensions of a product picture: one subject that stands alone before an even ground."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from services.scorer.dimensions.dimension import Dimension, failed, ok, table
from services.scorer.domain.measures import ISOLATION, Evidence, Measurement
from services.scorer.vision.composition import Composition
from services.scorer.vision.image_analysis import ImageAnalysis, Region
from winnow.contracts.values import MeasureStatus


def _isolation(analysis: ImageAnalysis) -> Measurement:
    found = analysis.isolation
    evidence = {
        "even_share": round(found.even_share, 4),
        "main_share": round(found.main_share, 4),
        "area_share": round(found.area_share, 4),
        "offset": round(found.offset, 4),
    }
    return Measurement(ISOLATION, MeasureStatus.ok, round(found.margin, 4), evidence)


def _staged(
    name: str, value: Callable[[Composition], float], shown: Callable[[Composition], Evidence] | None = None
) -> Dimension:
    def measure(analysis: ImageAnalysis) -> Measurement:
        found = analysis.composition
        if found is None:
            return failed(name, "no_subject_before_a_ground")
        return ok(name, round(value(found), 4), shown(found) if shown else None)

    return Dimension(name, 2, _UNITS[name], measure, follows=Region.subject)


_UNITS: Final = {
    "subject_margins": "least room to the border, share of that side",
    "subject_cut": "share of the border that the subject covers",
    "ground_evenness": "CIEDE2000, 95th percentile from the ground's median colour",
    "ground_to_white": "CIEDE2000 between the ground's median colour and white",
    "shadow": "L* by which the shadow is darker than the ground, 95th percentile",
}

PRODUCT: Final = table(
    Dimension(ISOLATION, 2, "multiple of the weakest part's limit", _isolation, follows=Region.subject),
    _staged("subject_margins", lambda composition: composition.margin_share),
    _staged("subject_cut", lambda composition: composition.cut_share),
    _staged("ground_evenness", lambda composition: composition.ground_spread),
    _staged(
        "ground_to_white",
        lambda composition: composition.ground_to_white,
        lambda composition: {"colour": composition.ground_hex},
    ),
    _staged(
        "shadow",
        lambda composition: composition.shadow.depth,
        lambda composition: {"area_share": round(composition.shadow.area_share, 4)},
    ),
)
