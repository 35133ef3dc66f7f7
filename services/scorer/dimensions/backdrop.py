"""Ground behind the person: how even the ground is, where the matte says it is ground."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.scorer.dimensions.dimension import Dimension, failed, ok, table
from services.scorer.domain.measures import Measurement
from services.scorer.vision.image_analysis import ImageAnalysis
from services.scorer.vision.model_set import PORTRAIT_MATTE

BACKGROUND_UNIFORMITY: Final = "background_uniformity"

_SIDE_PX: Final = 256
_GROUND_MAX: Final = 0.1
_ERODE_PX: Final = 9
_GROUND_SHARE_MIN: Final = 0.03


def unevenness(grey: NDArray[np.uint8], ground: NDArray[np.bool_]) -> float:
    """Return the mean length of the luminance gradient (Sobel) of ``(h, w) uint8`` where ``ground`` is true."""
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    return float(cv2.magnitude(across, down)[ground].mean())


def _background(analysis: ImageAnalysis) -> Measurement:
    """Measure the ground at 256 px, away from the person's outline (OFIQ BackgroundUniformity, another matte)."""
    matte = analysis.matte
    ground = (matte < _GROUND_MAX).astype(np.uint8)
    inner = cv2.erode(ground, np.ones((_ERODE_PX, _ERODE_PX), np.uint8), borderValue=1).astype(bool)
    share = float(inner.mean())
    evidence = {"ground_share": round(share, 4), "person_share": round(float(matte.mean()), 4)}
    if share < _GROUND_SHARE_MIN:
        return failed(BACKGROUND_UNIFORMITY, "no_ground", evidence)
    grey = cv2.resize(analysis.picture.grey, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
    return ok(BACKGROUND_UNIFORMITY, round(unevenness(grey.astype(np.uint8), inner), 3), evidence)


BACKDROP: Final = table(
    Dimension(BACKGROUND_UNIFORMITY, 2, "grey levels of gradient", _background, (PORTRAIT_MATTE,)),
)
