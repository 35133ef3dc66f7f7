"""Measurements: raw values with a status and evidence, before any profile has looked at them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from winnow.contracts.values import MeasureStatus

Evidence: TypeAlias = Mapping[str, float | int | str]

DECODABLE: Final = "decodable"
RESOLUTION: Final = "resolution"
SHARPNESS: Final = "sharpness"
BLOCKINESS: Final = "blockiness"
NOISE: Final = "noise"
EXPOSURE: Final = "exposure"
CONTENT: Final = "content"
BANDING: Final = "banding"
NEAR_DUPLICATE: Final = "near_duplicate"
FACE_COUNT: Final = "face_count"
FACE_FRAMING: Final = "face_framing"
EYES_OPEN: Final = "eyes_open"
ISOLATION: Final = "isolation"
NSFW: Final = "nsfw"
TEXT: Final = "text"

_TECHNICAL: Final = (
    DECODABLE,
    CONTENT,
    RESOLUTION,
    SHARPNESS,
    BLOCKINESS,
    NOISE,
    BANDING,
    EXPOSURE,
    NEAR_DUPLICATE,
)
_OVERLAY: Final = ("repeated_mark", "placeholder")
_HEADSHOT: Final = (FACE_COUNT, FACE_FRAMING, EYES_OPEN)
POSE: Final = (
    "inter_eye_distance",
    "head_size",
    "margin_left",
    "margin_right",
    "margin_above",
    "margin_below",
    "head_yaw",
    "head_pitch",
    "head_roll",
    "gaze",
    "mouth_closed",
    "expression_neutral",
)
_SKIN: Final = ("lighting_evenness", "natural_colour", "skin_tone_shift", "face_sharpness")
_LIKENESS: Final = ("identity_distance", "face_occlusion", "hand_over_face")
_BACKDROP: Final = ("background_uniformity",)
_PRODUCT: Final = (
    ISOLATION,
    "subject_margins",
    "subject_cut",
    "ground_evenness",
    "ground_to_white",
    "shadow",
)
_REMOVAL: Final = ("alpha_edges", "alpha_holes", "alpha_halo")
_MODERATION: Final = (NSFW,)
_CREATIVE: Final = (
    "copy_distance",
    "copy_extra",
    "text_area",
    "text_safe_zone",
    "text_legibility",
    "copy_legibility",
    "brand_colour",
    "subject_safe_zone",
)

TIERS: Final[dict[str, int]] = {
    **dict.fromkeys((*_TECHNICAL, *_OVERLAY), 1),
    **dict.fromkeys(_HEADSHOT, 2),
    **dict.fromkeys((*POSE, *_SKIN, *_LIKENESS, *_BACKDROP), 2),
    **dict.fromkeys((*_PRODUCT, *_REMOVAL), 2),
    **dict.fromkeys(_MODERATION, 1),
    **dict.fromkeys((TEXT, *_CREATIVE), 2),
    "prompt_alignment": 1,
    "prompt_subject": 1,
    "aesthetic": 1,
}
"""Every dimension that can be measured, with its tier (1 generic, 2 by use case; 3 is a custom rule).

``dimensions`` holds how each is taken; a test keeps the two in step.
"""

LAZY: Final = frozenset({"subject_safe_zone"})
"""Dimensions whose model is slow and seldom asked for: the first picture that needs it loads it, not the start."""

CUSTOM_TIER: Final = 3
PERCEPTUAL_HASH: Final = "perceptual_hash"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured dimension. ``raw`` is null unless ``status`` is ``ok``; its unit is the dimension's own."""

    name: str
    status: MeasureStatus
    raw: float | None = None
    evidence: Evidence = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything that was measured of one picture, with its size in pixels (0 when it did not decode)."""

    measurements: tuple[Measurement, ...]
    width: int = 0
    height: int = 0

    def by_name(self) -> dict[str, Measurement]:
        """Return the measurements by dimension."""
        return {measurement.name: measurement for measurement in self.measurements}


def could_not_measure(names: Iterable[str], reason: str) -> Measured:
    """Return that none of the dimensions could be taken, and why (a stable word)."""
    status = MeasureStatus.failure_to_assess
    return Measured(tuple(Measurement(name, status, evidence={"reason": reason}) for name in sorted(names)))
