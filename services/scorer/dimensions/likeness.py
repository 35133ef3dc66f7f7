"""Likeness to the person of the reference, and visibility of the face.

Nothing here sees anatomy: an eye too many or a third ear keeps the identity. Occlusion is looked for where it was
measured to show: eyes without the texture of eyes, and palms before the face.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from services.scorer.dimensions.dimension import Dimension, failed, not_applicable, ok, table
from services.scorer.domain.measures import Measurement
from services.scorer.vision.faces import Floats
from services.scorer.vision.hands import covered_share
from services.scorer.vision.image_analysis import ImageAnalysis, Region
from services.scorer.vision.model_set import FACE_LANDMARKER, IDENTITY, PALM_DETECTOR

IDENTITY_DISTANCE: Final = "identity_distance"
FACE_OCCLUSION: Final = "face_occlusion"
HAND_OVER_FACE: Final = "hand_over_face"

_EYES: Final = ((33, 133, 159, 145, 468), (362, 263, 386, 374, 473))
_STRUCTURE_AT_LIMIT: Final = 6.0
_SIDE_PX: Final = 48


def eye_structure(analysis: ImageAnalysis) -> float:
    """Return the smaller of both eye zones' luminance deviation in grey levels, at a common size.

    A zone is one eye width wide around the eye. An eye has white, iris and lid; a hand, a bar or a mask has not.
    """
    mesh = analysis.mesh
    if mesh is None:
        return 0.0
    return min(_deviation(analysis, *(mesh.points[index] for index in eye[:2])) for eye in _EYES)


def _deviation(analysis: ImageAnalysis, first: Floats, last: Floats) -> float:
    width = max(1.0, float(np.linalg.norm(last - first)))
    centre = (first + last) / 2
    zone = cv2.getRectSubPix(
        analysis.picture.grey,
        (max(2, round(1.1 * width)), max(2, round(0.6 * width))),
        (float(centre[0]), float(centre[1])),
    )
    small = cv2.resize(zone, (_SIDE_PX, _SIDE_PX // 2), interpolation=cv2.INTER_AREA)
    return float(small.std())


def _identity(analysis: ImageAnalysis) -> Measurement:
    """Measure the Euclidean distance of the faces' 128 values; the same person lies below 0.5, others above."""
    if analysis.reference is None:
        return not_applicable(IDENTITY_DISTANCE, "no_reference")
    embedding, reference_embedding = analysis.embedding, analysis.reference.embedding
    if embedding is None or reference_embedding is None:
        return failed(IDENTITY_DISTANCE, "no_face" if embedding is None else "no_face_in_reference")
    evidence = {
        "face_detail": round(analysis.face_detail, 4),
        "presence": round(analysis.mesh.presence if analysis.mesh else 0, 4),
    }
    return ok(IDENTITY_DISTANCE, round(float(np.linalg.norm(embedding - reference_embedding)), 4), evidence)


def _occlusion(analysis: ImageAnalysis) -> Measurement:
    mesh = analysis.mesh
    if mesh is None:
        return failed(FACE_OCCLUSION, "no_face")
    structure = eye_structure(analysis)
    evidence = {
        "eye_structure": round(structure, 2),
        "detection": round(mesh.detection, 4),
        "inter_eye_px": round(mesh.inter_eye_px, 1),
        "presence": round(mesh.presence, 4),
    }
    return ok(FACE_OCCLUSION, round(structure / _STRUCTURE_AT_LIMIT, 4), evidence)


def _hand_over_face(analysis: ImageAnalysis) -> Measurement:
    """Measure how much of the box around the face lies under a palm; fingers count as far as the palm's box holds them."""
    mesh = analysis.mesh
    if mesh is None:
        return failed(HAND_OVER_FACE, "no_face")
    hands = analysis.hands
    evidence = {
        "presence": round(mesh.presence, 4),
        "palms": float(len(hands)),
        "palm_confidence": round(hands[0].confidence if hands else 0.0, 4),
    }
    return ok(HAND_OVER_FACE, round(covered_share(hands, mesh.hull()), 4), evidence)


LIKENESS: Final = table(
    Dimension(
        IDENTITY_DISTANCE, 2, "Euclidean distance", _identity, (FACE_LANDMARKER, IDENTITY), Region.face
    ),
    Dimension(
        FACE_OCCLUSION,
        2,
        "multiple of the eye structure at the limit",
        _occlusion,
        (FACE_LANDMARKER,),
        Region.face,
    ),
    Dimension(
        HAND_OVER_FACE,
        2,
        "share of the face under a palm, 0..1",
        _hand_over_face,
        (FACE_LANDMARKER, PALM_DETECTOR),
        Region.face,
    ),
)
