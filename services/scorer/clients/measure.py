"""Measures one picture: decodes once, then takes the wanted dimensions, cheap ones first.

Regions follow the subject: with a face the sharpness and exposure are the face's, with a subject before an even
ground the exposure is the subject's, else the whole picture's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.scorer.clients import classic
from services.scorer.clients.decode import NotDecodable, Picture, decode
from services.scorer.clients.faces import FaceBox, FaceLandmarker, FaceMesh, count_faces
from services.scorer.clients.isolation import Isolation, isolation
from services.scorer.domain.measures import (
    BLOCKINESS,
    DECODABLE,
    EXPOSURE,
    EYES_OPEN,
    FACE_COUNT,
    FACE_FRAMING,
    ISOLATION,
    NEAR_DUPLICATE,
    NOISE,
    PERCEPTUAL_HASH,
    RESOLUTION,
    SHARPNESS,
    TIERS,
    Evidence,
    Measured,
    Measurement,
    could_not_measure,
)
from winnow.contracts.values import MeasureStatus

FACE_DIMENSIONS: Final = frozenset({FACE_COUNT, FACE_FRAMING, EYES_OPEN})

_FACE_BRIGHT_SHARE_MAX: Final = 0.20
_FACE_DARK_SHARE_MAX: Final = 0.30
_SUBJECT_BRIGHT_SHARE_MAX: Final = 0.25
_FRAME_BRIGHT_SHARE_MAX: Final = 0.60
_FRAME_DARK_SHARE_MAX: Final = 0.75
_EAR_AT_LIMIT: Final = 0.15
_BLINK_AT_LIMIT: Final = 0.35
_FACE_REGION_SIDE_MIN_PX: Final = 32
_FACE_DETAIL_WIDTH_PX: Final = 96
_EYE_TO_SIDE_MIN: Final = 0.9
_EYE_TO_TOP_MIN: Final = 1.0
_EYE_TO_BOTTOM_MIN: Final = 1.25
_FACE_HEIGHT_SHARE_MIN: Final = 0.08
_FACE_HEIGHT_SHARE_MAX: Final = 0.60


def measure_bytes(content: bytes, wanted: frozenset[str], landmarker: FaceLandmarker | None) -> Measured:
    """Measure an encoded picture; never raises for any content.

    What cannot be decoded scores 0 as ``decodable`` and ``failure_to_assess`` everywhere else.
    """
    try:
        picture = decode(content)
    except NotDecodable as error:
        return _not_decodable(wanted, error.reason)
    except (cv2.error, MemoryError):
        return _not_decodable(wanted, "decoder_failed")
    looked = _Look(
        picture, landmarker, sees_faces=bool(wanted & FACE_DIMENSIONS), sees_subject=ISOLATION in wanted
    )
    names = [name for name in TIERS if name in wanted]
    taken = [_take(name, looked) for name in names]
    unknown = sorted(wanted - set(TIERS))
    taken += [
        Measurement(name, MeasureStatus.unavailable, evidence={"reason": "no_measure"}) for name in unknown
    ]
    return Measured(tuple(taken), picture.width, picture.height)


def _not_decodable(wanted: frozenset[str], reason: str) -> Measured:
    rest = could_not_measure(wanted - {DECODABLE}, "not_decodable").measurements
    if DECODABLE not in wanted:
        return Measured(rest)
    return Measured((Measurement(DECODABLE, MeasureStatus.ok, 0.0, {"reason": reason}), *rest))


@dataclass
class _Look:
    """A picture with what several dimensions share, each computed once and only when asked for."""

    picture: Picture
    landmarker: FaceLandmarker | None
    sees_faces: bool
    sees_subject: bool

    @cached_property
    def noise(self) -> float:
        return classic.noise(self.picture.grey)

    @cached_property
    def faces(self) -> list[FaceBox]:
        return count_faces(self.picture.rgb)

    @cached_property
    def mesh(self) -> FaceMesh | None:
        if not self.sees_faces or self.landmarker is None or not self.faces:
            return None
        return self.landmarker.locate(self.picture.rgb, self.faces[0])

    @cached_property
    def isolation(self) -> Isolation:
        return isolation(self.picture.rgb)

    @cached_property
    def face_region(self) -> NDArray[np.uint8] | None:
        """Give the grey face, or None when there is none large enough to be judged by itself."""
        if self.mesh is None:
            return None
        left, top, right, bottom = (int(value) for value in self.mesh.hull())
        region = self.picture.grey[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
        return region if region.size and min(region.shape) >= _FACE_REGION_SIDE_MIN_PX else None

    @cached_property
    def face_detail(self) -> float:
        """Give the face's sharpness at one common size, so that it says what the landmarks could see."""
        region = self.face_region
        if region is None:
            return 0.0
        scale = min(1.0, _FACE_DETAIL_WIDTH_PX / region.shape[1])
        size = (max(1, round(region.shape[1] * scale)), max(1, round(region.shape[0] * scale)))
        small = cv2.resize(region, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        return classic.sharpness(small, 0.0).ratio

    @cached_property
    def face_sharpness(self) -> classic.Sharpness | None:
        return None if self.face_region is None else classic.sharpness(self.face_region, self.noise)


def _take(name: str, look: _Look) -> Measurement:
    try:
        return _MEASURES[name](look)
    except (cv2.error, ValueError, ArithmeticError, MemoryError, np.linalg.LinAlgError) as error:
        evidence = {"reason": "measure_failed", "error": type(error).__name__}
        return Measurement(name, MeasureStatus.failure_to_assess, evidence=evidence)


def _decodable(look: _Look) -> Measurement:
    return Measurement(DECODABLE, MeasureStatus.ok, 1.0, {"content_type": look.picture.content_type})


def _resolution(look: _Look) -> Measurement:
    scale = classic.effective_scale(look.picture.grey)
    short = min(look.picture.width, look.picture.height)
    evidence: Evidence = {
        "width": look.picture.width,
        "height": look.picture.height,
        "effective_scale": scale,
    }
    return Measurement(RESOLUTION, MeasureStatus.ok, round(short / scale, 1), evidence)


def _sharpness(look: _Look) -> Measurement:
    face = look.face_sharpness
    found = face or classic.sharpness(look.picture.grey, look.noise)
    evidence: Evidence = {
        "region": "face" if face else "frame",
        "method": found.method,
        "lap_ten": round(found.lap_ten, 5),
        "tenengrad": round(found.tenengrad, 2),
    }
    return Measurement(SHARPNESS, MeasureStatus.ok, round(found.ratio, 4), evidence)


def _blockiness(look: _Look) -> Measurement:
    return Measurement(BLOCKINESS, MeasureStatus.ok, round(classic.blockiness(look.picture.grey), 4))


def _noise(look: _Look) -> Measurement:
    return Measurement(NOISE, MeasureStatus.ok, round(look.noise, 3))


def _exposure(look: _Look) -> Measurement:
    region, found = _exposed_region(look)
    evidence: Evidence = {
        "region": region,
        "highlight": found.highlight,
        "mean": round(found.mean, 1),
        "dark_share": round(found.dark_share, 4),
        "bright_share": round(found.bright_share, 4),
    }
    return Measurement(EXPOSURE, MeasureStatus.ok, round(found.overrun, 4), evidence)


def _exposed_region(look: _Look) -> tuple[str, classic.Exposure]:
    if look.face_region is not None:
        found = classic.exposure(
            look.face_region, bright_share_max=_FACE_BRIGHT_SHARE_MAX, dark_share_max=_FACE_DARK_SHARE_MAX
        )
        return "face", found
    subject = look.isolation.subject if look.sees_subject and look.isolation.margin >= 1 else None
    if subject is not None:
        size = (subject.shape[1], subject.shape[0])
        small = cv2.resize(look.picture.rgb, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        found = classic.exposure(
            cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False),
            bright_share_max=_SUBJECT_BRIGHT_SHARE_MAX,
            dark_share_max=_FRAME_DARK_SHARE_MAX,
            mask=subject,
            peak=small.max(axis=2),
        )
        return "subject", found
    found = classic.exposure(
        look.picture.grey, bright_share_max=_FRAME_BRIGHT_SHARE_MAX, dark_share_max=_FRAME_DARK_SHARE_MAX
    )
    return "frame", found


def _near_duplicate(look: _Look) -> Measurement:
    # Likeness is between candidates; here only its measure is taken, the selection compares.
    evidence = {PERCEPTUAL_HASH: classic.perceptual_hash(look.picture.grey)}
    return Measurement(NEAR_DUPLICATE, MeasureStatus.ok, 1.0, evidence)


def _face_count(look: _Look) -> Measurement:
    evidence: dict[str, float | int | str] = {"confidence": look.faces[0].confidence if look.faces else 0}
    return Measurement(FACE_COUNT, MeasureStatus.ok, float(len(look.faces)), evidence)


def _face_framing(look: _Look) -> Measurement:
    mesh = look.mesh
    if mesh is None:
        return _without_face(FACE_FRAMING, look)
    right, left = mesh.eyes
    middle = (right + left) / 2
    inter_eye = max(1.0, mesh.inter_eye_px)
    chin_px = max(1.0, float(np.linalg.norm(mesh.chin - middle)))
    width, height = look.picture.width, look.picture.height
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
    evidence = _face_evidence(look, mesh) | {
        "eye_to_side": round(to_side, 3),
        "eye_to_top": round(to_top, 3),
        "eye_to_bottom": round(to_bottom, 3),
        "face_height_share": round(size_share, 4),
        "roll_deg": round(mesh.roll_deg, 1),
    }
    return Measurement(FACE_FRAMING, MeasureStatus.ok, round(margin, 4), evidence)


def _eyes_open(look: _Look) -> Measurement:
    mesh = look.mesh
    if mesh is None:
        return _without_face(EYES_OPEN, look)
    openness = min(mesh.eye_aspect_ratio / _EAR_AT_LIMIT, 2.0 - mesh.blink / _BLINK_AT_LIMIT)
    evidence = _face_evidence(look, mesh) | {
        "eye_aspect_ratio": round(mesh.eye_aspect_ratio, 4),
        "blink": round(mesh.blink, 4),
    }
    return Measurement(EYES_OPEN, MeasureStatus.ok, round(openness, 4), evidence)


def _face_evidence(look: _Look, mesh: FaceMesh) -> dict[str, float | int | str]:
    return {
        "presence": round(mesh.presence, 4),
        "detection": round(mesh.detection, 4),
        "inter_eye_px": round(mesh.inter_eye_px, 1),
        "face_detail": round(look.face_detail, 4),
    }


def _isolation(look: _Look) -> Measurement:
    found = look.isolation
    evidence = {
        "even_share": round(found.even_share, 4),
        "main_share": round(found.main_share, 4),
        "area_share": round(found.area_share, 4),
        "offset": round(found.offset, 4),
    }
    return Measurement(ISOLATION, MeasureStatus.ok, round(found.margin, 4), evidence)


def _without_face(name: str, look: _Look) -> Measurement:
    if look.landmarker is None:
        return Measurement(name, MeasureStatus.unavailable, evidence={"reason": "model_missing"})
    return Measurement(name, MeasureStatus.failure_to_assess, evidence={"reason": "no_face"})


_MEASURES: Final[dict[str, Callable[[_Look], Measurement]]] = {
    DECODABLE: _decodable,
    RESOLUTION: _resolution,
    SHARPNESS: _sharpness,
    BLOCKINESS: _blockiness,
    NOISE: _noise,
    EXPOSURE: _exposure,
    NEAR_DUPLICATE: _near_duplicate,
    FACE_COUNT: _face_count,
    FACE_FRAMING: _face_framing,
    EYES_OPEN: _eyes_open,
    ISOLATION: _isolation,
}
