"""Vocabulary of custom rules: per dimension the names and types of its values.

Every dimension has ``status``, ``reason``, ``raw`` and ``score``; what else it shows is declared here. Evidence that
is not declared goes into the record of a verdict but cannot be read by a rule or a guard.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, TypeAlias

from services.scorer.domain import measures


class Type(StrEnum):
    """Type of a value. Every measured number is a ``double``; ``words`` travel as one text, parted by blanks."""

    double = "number"
    int = "whole number"
    text = "text"
    bool = "true or false"
    words = "list of words"
    numbers = "list of numbers"


Schema: TypeAlias = Mapping[str, Mapping[str, Type]]
"""Per dimension, the type of each of its values."""

_COMMON: Final = {"status": Type.text, "reason": Type.text, "raw": Type.double, "score": Type.double}


def _numbers(*names: str) -> dict[str, Type]:
    return dict.fromkeys(names, Type.double)


_FACE: Final = _numbers("presence", "detection", "inter_eye_px", "face_detail")
_CHEEKS: Final = _numbers("presence")

EVIDENCE: Final[Schema] = {
    measures.DECODABLE: {"content_type": Type.text},
    measures.CONTENT: _numbers("tonal_range", "coarse_detail") | {"kind": Type.text},
    measures.BANDING: _numbers("slopes_share"),
    measures.RESOLUTION: _numbers("width", "height", "effective_scale"),
    measures.SHARPNESS: _numbers("noise_taken_off") | {"region": Type.text, "method": Type.text},
    measures.EXPOSURE: _numbers("highlight", "mean", "dark_share", "bright_share") | {"region": Type.text},
    measures.NEAR_DUPLICATE: {measures.PERCEPTUAL_HASH: Type.text},
    measures.NOISE: _numbers("fine", "coarse"),
    "prompt_subject": _numbers("probability", "named") | {"shown": Type.text},
    measures.FACE_COUNT: _numbers("confidence", "face_share"),
    measures.FACE_FRAMING: _FACE
    | _numbers("eye_to_side", "eye_to_top", "eye_to_bottom", "face_height_share", "roll_deg"),
    measures.EYES_OPEN: _FACE | _numbers("eye_aspect_ratio", "blink"),
    **dict.fromkeys(measures.POSE, _numbers("presence", "inter_eye_px", "face_detail")),
    "lighting_evenness": _CHEEKS,
    "natural_colour": _CHEEKS | _numbers("a", "b"),
    "skin_tone_shift": _CHEEKS | _numbers("clipped_share", "shift_stops"),
    "face_sharpness": _CHEEKS | {"method": Type.text},
    "identity_distance": _numbers("presence", "face_detail"),
    "face_occlusion": _numbers("eye_structure", "detection", "inter_eye_px", "presence"),
    "hand_over_face": _numbers("presence", "palms", "palm_confidence"),
    "background_uniformity": _numbers("ground_share", "person_share"),
    measures.TEXT: _numbers("area_share", "lines", "confidence") | {"words": Type.words},
    **dict.fromkeys(
        ("copy_distance", "copy_extra"), _numbers("lines_asked", "lines_found", "lines_read", "confidence")
    ),
    "repeated_mark": _numbers("calm_share", "step"),
    "shadow": _numbers("area_share"),
    "text_area": _numbers("lines"),
    "text_safe_zone": _numbers("lines") | {"format": Type.text},
    **dict.fromkeys(("text_legibility", "copy_legibility"), _numbers("contrast", "height_px", "lines")),
    "brand_colour": _numbers("colours") | {"colour": Type.text},
    "subject_safe_zone": _numbers("subject_share") | {"format": Type.text},
    "ground_to_white": {"colour": Type.text},
    "alpha_edges": _numbers("edge_px", "area_share"),
    measures.ISOLATION: _numbers("even_share", "main_share", "area_share", "offset"),
}
"""Evidence of each dimension beside the common values."""


def schema_of(dimensions: Iterable[str], word_lists: Iterable[str] = ()) -> dict[str, dict[str, Type]]:
    """Return what rules of a profile with these dimensions and word lists may read."""
    schema = {name: {**_COMMON, **EVIDENCE.get(name, {})} for name in dimensions}
    return schema | {name: {"words": Type.words} for name in word_lists}


def reads_text(dimensions: Iterable[str]) -> bool:
    """Return whether any of these dimensions gives the words it read."""
    return any(Type.words in EVIDENCE.get(name, {}).values() for name in dimensions)


def typed(dimension: str, name: str, value: float | str) -> float | str | list[str]:
    """Return a measured value as rules see it."""
    if isinstance(value, int | float):
        return float(value)
    is_words = EVIDENCE.get(dimension, {}).get(name) is Type.words
    return value.split() if is_words else value
