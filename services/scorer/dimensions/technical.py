"""Technical dimensions, asked of any picture: decodable, resolution, sharpness, compression, noise, exposure.

Regions follow the subject. With a face, sharpness and exposure are measured on the face. With a subject
before an even ground, exposure is measured on the subject. Everything else is measured on the whole picture.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from services.scorer.dimensions.dimension import Dimension, table
from services.scorer.domain.measures import (
    BANDING,
    BLOCKINESS,
    CONTENT,
    DECODABLE,
    EXPOSURE,
    NEAR_DUPLICATE,
    NOISE,
    PERCEPTUAL_HASH,
    RESOLUTION,
    SHARPNESS,
    Evidence,
    Measurement,
)
from services.scorer.vision import classic, tones
from services.scorer.vision.exposure import Exposure, exposure
from services.scorer.vision.image_analysis import ImageAnalysis, Region
from winnow.contracts.values import MeasureStatus

_FACE_BRIGHT_SHARE_MAX: Final = 0.20
_FACE_DARK_SHARE_MAX: Final = 0.30
_SUBJECT_BRIGHT_SHARE_MAX: Final = 0.25
_FRAME_BRIGHT_SHARE_MAX: Final = 0.40
_FRAME_DARK_SHARE_MAX: Final = 0.75


def _decodable(analysis: ImageAnalysis) -> Measurement:
    return Measurement(DECODABLE, MeasureStatus.ok, 1.0, {"content_type": analysis.picture.content_type})


def _content(analysis: ImageAnalysis) -> Measurement:
    found = tones.content(analysis.small)
    evidence: Evidence = {
        "tonal_range": found.tonal_range,
        "coarse_detail": round(found.coarse_detail, 4),
        "kind": found.kind,
    }
    return Measurement(CONTENT, MeasureStatus.ok, round(found.margin, 4), evidence)


def _banding(analysis: ImageAnalysis) -> Measurement:
    found = tones.banding(analysis.picture.grey)
    evidence = {"slopes_share": round(found.slopes_share, 4)}
    return Measurement(BANDING, MeasureStatus.ok, round(found.step_share, 4), evidence)


def _resolution(analysis: ImageAnalysis) -> Measurement:
    scale = classic.effective_scale(analysis.picture.grey)
    short = min(analysis.picture.width, analysis.picture.height)
    evidence: Evidence = {
        "width": analysis.picture.width,
        "height": analysis.picture.height,
        "effective_scale": scale,
    }
    return Measurement(RESOLUTION, MeasureStatus.ok, round(short / scale, 1), evidence)


def _sharpness(analysis: ImageAnalysis) -> Measurement:
    face = analysis.face_sharpness
    found = face or analysis.frame.sharpness(analysis.noise.flat)
    evidence: Evidence = {
        "region": "face" if face else "frame",
        "method": found.method,
        "noise_taken_off": round(analysis.noise.flat, 3),
    }
    return Measurement(SHARPNESS, MeasureStatus.ok, round(found.ratio, 4), evidence)


def _blockiness(analysis: ImageAnalysis) -> Measurement:
    return Measurement(BLOCKINESS, MeasureStatus.ok, round(analysis.frame.blockiness(), 4))


def _noise(analysis: ImageAnalysis) -> Measurement:
    evidence: Evidence = {"fine": round(analysis.noise.fine, 3), "coarse": round(analysis.noise.coarse, 3)}
    return Measurement(NOISE, MeasureStatus.ok, round(analysis.noise.sigma, 3), evidence)


def _exposure(analysis: ImageAnalysis) -> Measurement:
    region, found = _exposed_region(analysis)
    evidence: Evidence = {
        "region": region,
        "highlight": found.highlight,
        "mean": round(found.mean, 1),
        "dark_share": round(found.dark_share, 4),
        "bright_share": round(found.bright_share, 4),
    }
    return Measurement(EXPOSURE, MeasureStatus.ok, round(found.overrun, 4), evidence)


def _exposed_region(analysis: ImageAnalysis) -> tuple[str, Exposure]:
    if analysis.face_region is not None:
        found = exposure(
            analysis.face_region, bright_share_max=_FACE_BRIGHT_SHARE_MAX, dark_share_max=_FACE_DARK_SHARE_MAX
        )
        return "face", found
    stands_alone = Region.subject in analysis.regions and analysis.isolation.margin >= 1
    subject = analysis.isolation.subject if stands_alone else None
    if subject is not None:
        size = (subject.shape[1], subject.shape[0])
        small = cv2.resize(analysis.picture.rgb, size, interpolation=cv2.INTER_AREA).astype(
            np.uint8, copy=False
        )
        found = exposure(
            cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False),
            bright_share_max=_SUBJECT_BRIGHT_SHARE_MAX,
            dark_share_max=_FRAME_DARK_SHARE_MAX,
            mask=subject,
            peak=small.max(axis=2),
        )
        return "subject", found
    found = analysis.frame.exposure(
        bright_share_max=_FRAME_BRIGHT_SHARE_MAX,
        dark_share_max=_FRAME_DARK_SHARE_MAX,
        small=analysis.small,
    )
    return "frame", found


def _near_duplicate(analysis: ImageAnalysis) -> Measurement:
    # Likeness is between candidates; here only its measure is taken, the selection compares.
    evidence = {PERCEPTUAL_HASH: classic.perceptual_hash(analysis.small)}
    return Measurement(NEAR_DUPLICATE, MeasureStatus.ok, 1.0, evidence)


TECHNICAL: Final = table(
    Dimension(DECODABLE, 1, "1 decoded whole, 0 not", _decodable, sees_colour=False),
    Dimension(CONTENT, 1, "multiple of the weaker part's limit", _content, sees_colour=False),
    Dimension(RESOLUTION, 1, "pixels of the short side that carry detail", _resolution, sees_colour=False),
    Dimension(SHARPNESS, 1, "ratio of fine to coarse structure", _sharpness, sees_colour=False),
    Dimension(
        BLOCKINESS,
        1,
        "steps on the 8-pixel grid beside others: ratio or grey levels more",
        _blockiness,
        sees_colour=False,
    ),
    Dimension(NOISE, 1, "grey levels, standard deviation", _noise, sees_colour=False),
    Dimension(BANDING, 1, "share of a slow slope in one step", _banding, sees_colour=False),
    Dimension(EXPOSURE, 1, "how far the worst limit is overrun, 1 at it", _exposure, sees_colour=False),
    Dimension(NEAR_DUPLICATE, 1, "1; the hash is evidence", _near_duplicate, sees_colour=False),
)
