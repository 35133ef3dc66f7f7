"""The shadow that a subject casts on its ground: how much darker than the ground, and over how much of the frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.scorer.vision.colour import Floats

Mask = NDArray[np.bool_]

_DARKER_MIN: Final = 2.0
_CHROMA_OFF_MAX: Final = 6.0
_SLOPE_MAX: Final = 5.0
_AREA_MIN: Final = 0.002


@dataclass(frozen=True, slots=True)
class Shadow:
    """``depth`` is in L*, 0 for none; ``area_share`` of the frame lies in it."""

    depth: float
    area_share: float


NO_SHADOW: Final = Shadow(0.0, 0.0)


def cast_shadow(lab: Floats, subject: Mask, away: Mask) -> Shadow:
    """Measure ``(h, w, 3) L*a*b*`` with the subject's hull and the ground ``away`` from it.

    A shadow is darker than the ground that is fitted to ``away`` (a quadratic surface), and has its colour.
    It darkens slowly and reaches out of the subject's hull. A subject of the ground's own colour can pass for
    its shadow.
    """
    ground = _fitted(lab, away)
    darker = ground[..., 0] - lab[..., 0]
    # Half the light is half the chroma too; both fall with L*.
    expected = ground[..., 1:] * np.clip(lab[..., :1] / np.maximum(ground[..., :1], 1.0), 0, 1)
    same_colour = np.linalg.norm(lab[..., 1:] - expected, axis=2) < _CHROMA_OFF_MAX
    lightness = lab[..., 0].astype(np.float32)
    slope = cv2.magnitude(
        cv2.Sobel(lightness, cv2.CV_32F, 1, 0, scale=1 / 8),
        cv2.Sobel(lightness, cv2.CV_32F, 0, 1, scale=1 / 8),
    )
    likely = (darker > _DARKER_MIN) & same_colour & (slope < _SLOPE_MAX) & ~away
    _, parts = cv2.connectedComponents(likely.astype(np.uint8), connectivity=4)
    outside = np.unique(parts[likely & ~subject])
    shadow = likely & np.isin(parts, outside)
    share = float(shadow.mean())
    if share < _AREA_MIN:
        return NO_SHADOW
    return Shadow(float(np.percentile(darker[shadow], 95)), share)


def _fitted(lab: Floats, away: Mask) -> Floats:
    height, width = away.shape
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=-1)
    solution = np.linalg.lstsq(terms[away], lab[away], rcond=None)[0]
    return np.asarray(terms @ solution)
