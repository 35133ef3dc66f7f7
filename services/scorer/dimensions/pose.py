"""Pose of the head and expression of the face: size, margins, angles, gaze, mouth, expression.

All from the 478 points and 52 blendshapes of the largest face. Measures after ISO/IEC 29794-5 as implemented
openly in OFIQ; ``T`` there and here is the distance from the middle of the eyes to the chin.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from services.scorer.dimensions.dimension import Dimension, failed, ok, table
from services.scorer.domain.measures import Measurement
from services.scorer.vision.faces import FaceMesh, Floats
from services.scorer.vision.image_analysis import ImageAnalysis, Region
from services.scorer.vision.model_set import FACE_LANDMARKER

HEAD_SIZE_WANTED: Final = 0.45
"""``T`` over the frame's height at which a portrait is neither near nor far (OFIQ HeadSize)."""

_PRESENCE_MIN: Final = 0.5
_TEMPLES: Final = (234, 454)
_MIDLINE: Final = (10, 152)
"""Top of the forehead and chin: they lie in one plane with the shoulders when the head is upright."""
_IRISES: Final = ((468, 33, 133), (473, 362, 263))
"""Of each eye: the iris' centre and the corners, left to right in the picture."""
_LIP_PAIRS: Final = ((13, 14), (82, 87), (312, 317))
_EXPRESSIONS: Final = (*range(1, 9), *range(23, 52))
"""All blendshapes but the neutral one and those of lids and gaze."""


def turn_deg(points: Floats, depth: Floats) -> tuple[float, float]:
    """Return yaw and pitch in degrees, 0 for a frontal head, from the landmarks in three dimensions.

    Yaw is how far the line between the temples runs into depth, pitch how far that from forehead to chin does. Read
    off the network's own depth: fitting an average head to six points (PnP) took smiles for bowed heads.
    """
    return _into_depth(points, depth, _TEMPLES), _into_depth(points, depth, _MIDLINE)


def _into_depth(points: Floats, depth: Floats, ends: tuple[int, int]) -> float:
    first, last = ends
    along = float(np.linalg.norm(points[last] - points[first]))
    return math.degrees(math.atan2(float(depth[last] - depth[first]), along))


def gaze_offset(points: Floats) -> float:
    """Return how far the irises stand off the middle of the eyes along the eye line, in half eye widths, mean of both."""
    offsets = []
    for iris, first, last in _IRISES:
        across = points[last] - points[first]
        along = float((points[iris] - (points[first] + points[last]) / 2) @ across)
        offsets.append(2 * along / max(1e-6, float(across @ across)))
    return float(np.mean(offsets))


def lip_gap(points: Floats, chin_px: float) -> float:
    """Return the largest gap between the inner lips, in ``T``."""
    gaps = [float(np.linalg.norm(points[above] - points[below])) for above, below in _LIP_PAIRS]
    return max(gaps) / max(1.0, chin_px)


def _of_mesh(
    name: str, raw: Callable[[ImageAnalysis, FaceMesh], float]
) -> Callable[[ImageAnalysis], Measurement]:
    def measure(analysis: ImageAnalysis) -> Measurement:
        mesh = analysis.mesh
        if mesh is None:
            return failed(name, "no_face")
        evidence = {
            "presence": round(mesh.presence, 4),
            "inter_eye_px": round(mesh.inter_eye_px, 1),
            "face_detail": round(analysis.face_detail, 4),
        }
        if mesh.presence < _PRESENCE_MIN:
            return failed(name, "face_unsure", evidence)
        return ok(name, round(raw(analysis, mesh), 4), evidence)

    return measure


def _inter_eye(_: ImageAnalysis, mesh: FaceMesh) -> float:
    return mesh.inter_eye_px / max(0.2, math.cos(math.radians(_yaw(mesh))))


def _yaw(mesh: FaceMesh) -> float:
    return turn_deg(mesh.points, mesh.depth)[0]


def _pitch(mesh: FaceMesh) -> float:
    return turn_deg(mesh.points, mesh.depth)[1]


def _head_size(analysis: ImageAnalysis, mesh: FaceMesh) -> float:
    return abs(mesh.chin_px / analysis.picture.height - HEAD_SIZE_WANTED)


def _left(_: ImageAnalysis, mesh: FaceMesh) -> float:
    return float(min(eye[0] for eye in mesh.eyes)) / max(1.0, mesh.inter_eye_px)


def _right(analysis: ImageAnalysis, mesh: FaceMesh) -> float:
    return float(analysis.picture.width - max(eye[0] for eye in mesh.eyes)) / max(1.0, mesh.inter_eye_px)


def _above(_: ImageAnalysis, mesh: FaceMesh) -> float:
    return float(np.mean([eye[1] for eye in mesh.eyes])) / max(1.0, mesh.chin_px)


def _below(analysis: ImageAnalysis, mesh: FaceMesh) -> float:
    return analysis.picture.height / max(1.0, mesh.chin_px) - _above(analysis, mesh)


def _expression(_: ImageAnalysis, mesh: FaceMesh) -> float:
    return float(np.linalg.norm(mesh.shapes[list(_EXPRESSIONS)]))


def _dimension(name: str, unit: str, raw: Callable[[ImageAnalysis, FaceMesh], float]) -> Dimension:
    return Dimension(name, 2, unit, _of_mesh(name, raw), (FACE_LANDMARKER,), Region.face)


POSE: Final = table(
    _dimension("inter_eye_distance", "pixels, corrected for yaw", _inter_eye),
    _dimension("head_size", "distance of T over frame height from 0.45", _head_size),
    _dimension("margin_left", "inter-eye distances from the eye to the border", _left),
    _dimension("margin_right", "inter-eye distances from the eye to the border", _right),
    _dimension("margin_above", "T from the eyes to the border", _above),
    _dimension("margin_below", "T from the eyes to the border", _below),
    _dimension("head_yaw", "degrees off frontal", lambda _, mesh: abs(_yaw(mesh))),
    _dimension("head_pitch", "degrees off frontal", lambda _, mesh: abs(_pitch(mesh))),
    _dimension("head_roll", "degrees off upright", lambda _, mesh: abs(mesh.roll_deg)),
    _dimension(
        "gaze", "half eye widths off the middle, horizontally", lambda _, mesh: abs(gaze_offset(mesh.points))
    ),
    _dimension(
        "mouth_closed", "T between the inner lips", lambda _, mesh: lip_gap(mesh.points, mesh.chin_px)
    ),
    _dimension("expression_neutral", "length of the vector of expression blendshapes", _expression),
)
