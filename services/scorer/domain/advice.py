"""Advice on an input picture: what a client could do better, as a code, numbers and a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.scorer.domain.measures import FACE_COUNT, RESOLUTION, SHARPNESS, Measured

_SHORT_SIDE_MIN_PX: Final = 512.0
_SHARPNESS_MIN: Final = 0.6
_FACE_SHARE_MIN: Final = 0.03
"""Of the frame. The portrait of the labelled set covers 0.035 and passes every measure of a headshot."""


@dataclass(frozen=True, slots=True)
class Advice:
    """A hint that does not refuse: ``measured`` against ``needed`` in ``unit``; ``code`` is stable, the sentence is not."""

    code: str
    measured: float
    needed: float
    unit: str
    sentence: str


def advise(measured: Measured, *, wants_face: bool) -> tuple[Advice, ...]:
    """Return every hint, the weightiest first; what was not measured brings none."""
    raw = {
        measurement.name: measurement.raw
        for measurement in measured.measurements
        if measurement.raw is not None
    }
    advice = _of_faces(measured) if wants_face and FACE_COUNT in raw else []
    side = raw.get(RESOLUTION, _SHORT_SIDE_MIN_PX)
    if side < _SHORT_SIDE_MIN_PX:
        sentence = f"the short side carries {side:.0f} pixels of detail, at least {_SHORT_SIDE_MIN_PX:.0f} are advised"
        advice.append(Advice("low_resolution", side, _SHORT_SIDE_MIN_PX, "pixels", sentence))
    sharpness = raw.get(SHARPNESS, _SHARPNESS_MIN)
    if sharpness < _SHARPNESS_MIN:
        sentence = (
            f"the picture is blurred: sharpness is {sharpness:.2f}, at least {_SHARPNESS_MIN} is advised"
        )
        advice.append(
            Advice("blurred", sharpness, _SHARPNESS_MIN, "ratio of fine to coarse structure", sentence)
        )
    return tuple(advice)


def _of_faces(measured: Measured) -> list[Advice]:
    found = measured.by_name()[FACE_COUNT]
    count, share = found.raw or 0.0, found.evidence.get("face_share", 0.0)
    if count == 0:
        return [Advice("no_face", 0.0, 1.0, "faces", "no face was found, exactly one is needed")]
    if count > 1:
        sentence = f"{count:.0f} faces were found, exactly one is needed"
        return [Advice("several_faces", count, 1.0, "faces", sentence)]
    if isinstance(share, int | float) and share < _FACE_SHARE_MIN:
        sentence = f"the face covers {100 * share:.1f} % of the frame, at least {100 * _FACE_SHARE_MIN:.0f} % is advised"
        return [Advice("small_face", float(share), _FACE_SHARE_MIN, "share of the frame", sentence)]
    return []
