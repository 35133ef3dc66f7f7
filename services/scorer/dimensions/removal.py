"""Dimensions of a cut-out: soft edges, holes and islands, the old ground's halo."""

from __future__ import annotations

from typing import Final

from services.scorer.dimensions.dimension import Dimension, failed, ok, table
from services.scorer.domain.measures import Measurement
from services.scorer.vision.image_analysis import ImageAnalysis

_EDGE_MIN_PX: Final = 0.4
_EDGE_MAX_PX: Final = 8.0


def _alpha_edges(analysis: ImageAnalysis) -> Measurement:
    """Return the softness margin: edge width over 0.4 px, or 8 px over it, whichever is less; below 1 fails."""
    found = analysis.cutout
    if found is None:
        return failed("alpha_edges", "no_cutout")
    margin = min(found.edge_px / _EDGE_MIN_PX, _EDGE_MAX_PX / max(found.edge_px, 1e-6))
    shown = {"edge_px": round(found.edge_px, 3), "area_share": round(found.area_share, 4)}
    return ok("alpha_edges", round(margin, 4), shown)


def _alpha_holes(analysis: ImageAnalysis) -> Measurement:
    found = analysis.cutout
    return (
        failed("alpha_holes", "no_cutout") if found is None else ok("alpha_holes", round(found.lost_share, 5))
    )


def _alpha_halo(analysis: ImageAnalysis) -> Measurement:
    found = analysis.cutout
    if found is None:
        return failed("alpha_halo", "no_cutout")
    if found.halo is None:
        return failed("alpha_halo", "no_soft_edge")
    return ok("alpha_halo", round(found.halo, 3))


REMOVAL: Final = table(
    Dimension("alpha_edges", 2, "multiple of the nearer limit of the soft edge's width", _alpha_edges),
    Dimension("alpha_holes", 2, "area of small holes and islands over the subject's", _alpha_holes),
    Dimension("alpha_halo", 2, "8-bit Lab distance of the rim from the solid colour beside it", _alpha_halo),
)
