"""Dimensions of a headshot: how many faces, how framed, eyes open.

Source of the measures: ISO/IEC 29794-5 as implemented openly in OFIQ; the networks are others (see faces).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from services.scorer.dimensions.dimension import Dimension, failed, table
from services.scorer.domain.measures import EYES_OPEN, FACE_COUNT, FACE_FRAMING, Measurement
from services.scorer.vision.faces import FaceMesh
from services.scorer.vision.image_analysis import ImageAnalysis, Region
from services.scorer.vision.model_set import FACE_LANDMARKER
from winnow.contracts.values import MeasureStatus

_EAR_AT_LIMIT: Final = 0.15
_BLINK_AT_LIMIT: Final = 0.35
_EYE_TO_SIDE_MIN: Final = 0.9
_EYE_TO_TOP_MIN: Final = 1.0
_EYE_TO_BOTTOM_MIN: Final = 1.25
_FACE_HEIGHT_SHARE_MIN: Final = 0.08
_FACE_HEIGHT_SHARE_MAX: Final = 0.60


def _face_count(analysis: ImageAnalysis) -> Measurement:
    largest = analysis.faces[0] if analysis.faces else None
    covered = largest.width * largest.height if largest else 0.0
    evidence: dict[str, float | int | str] = {
        "confidence": largest.confidence if largest else 0,
        "face_share": round(covered / (analysis.picture.width * analysis.picture.height), 4),
    }
    return Measurement(FACE_COUNT, MeasureStatus.ok, float(len(analysis.faces)), evidence)


def _face_framing(analysis: ImageAnalysis) -> Measurement:
    mesh = analysis.mesh
    if mesh is None:
        return failed(FACE_FRAMING, "no_face")
    right, left = mesh.eyes
    middle = (right + left) / 2
    inter_eye = max(1.0, mesh.inter_eye_px)
    chin_px = max(1.0, float(np.linalg.norm(mesh.chin - middle)))
    width, height = analysis.picture.width, analysis.picture.height
    to_side = float(min(left[0], right[0], width - left[0], width - right[0])) / inter_eye
    to_top, to_bottom = float(middle[1]) / chin_px, float(height - middle[1]) / chin_px
    size_share = chin_px / height
    margin = min(
        to_side / _EYE_TO_SIDE_MIN,
        to_top / _EYE_TO_TOP_MIN,
        to_bottom / _EYE_TO_BOTTOM_MIN,
        size_share / _FACE_HEIGHT_SHARE_MIN,
        _FACE_HEIGHT_SHARE_MAX / size_share,
    )
    evidence = _face_evidence(analysis, mesh) | {
        "eye_to_side": round(to_side, 3),
        "eye_to_top": round(to_top, 3),
        "eye_to_bottom": round(to_bottom, 3),
        "face_height_share": round(size_share, 4),
        "roll_deg": round(mesh.roll_deg, 1),
    }
    return Measurement(FACE_FRAMING, MeasureStatus.ok, round(margin, 4), evidence)


def _eyes_open(analysis: ImageAnalysis) -> Measurement:
    mesh = analysis.mesh
    if mesh is None:
        return failed(EYES_OPEN, "no_face")
    openness = min(mesh.eye_aspect_ratio / _EAR_AT_LIMIT, 2.0 - mesh.blink / _BLINK_AT_LIMIT)
    evidence = _face_evidence(analysis, mesh) | {
        "eye_aspect_ratio": round(mesh.eye_aspect_ratio, 4),
        "blink": round(mesh.blink, 4),
    }
    return Measurement(EYES_OPEN, MeasureStatus.ok, round(openness, 4), evidence)


def _face_evidence(analysis: ImageAnalysis, mesh: FaceMesh) -> dict[str, float | int | str]:
    return {
        "presence": round(mesh.presence, 4),
        "detection": round(mesh.detection, 4),
        "inter_eye_px": round(mesh.inter_eye_px, 1),
        "face_detail": round(analysis.face_detail, 4),
    }


_MESH: Final = (FACE_LANDMARKER,)

HEADSHOT: Final = table(
    Dimension(FACE_COUNT, 2, "faces", _face_count, follows=Region.face),
    Dimension(FACE_FRAMING, 2, "multiple of the tightest margin", _face_framing, _MESH, Region.face),
    Dimension(EYES_OPEN, 2, "multiple of the opening at the limit", _eyes_open, _MESH, Region.face),
)
