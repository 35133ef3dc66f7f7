"""One picture's verdict as plain values: dimensions with units and limits, reasons in words, and what was found where."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from services.scorer.dimensions import DIMENSIONS, FAMILIES
from services.scorer.domain import DimensionVerdict, Profile
from services.scorer.domain.quality_profile import DimensionRule, ScoreMapping
from services.scorer.domain.references import NO_WORDING, Wording
from services.scorer.tools.desk import Desk
from services.scorer.vision.decode import NotDecodable, Picture, decode
from services.scorer.vision.image_analysis import ImageAnalysis
from winnow.contracts.values import MeasureStatus

_DIGITS: Final = 4
_OF_FACES: Final = frozenset(FAMILIES["headshot"])
_OF_SUBJECTS: Final = frozenset(FAMILIES["product"])


def report(
    desk: Desk,
    profile: Profile,
    path: Path,
    *,
    shapes: bool,
    reference: bytes | None = None,
    wording: Wording = NO_WORDING,
) -> dict[str, Any]:
    """Score a picture file; raises OSError when it cannot be read. Points are pixels of the upright picture."""
    content = path.read_bytes()
    found = desk.score(content, profile, reference, wording)
    rules = {rule.name: rule for rule in profile.dimensions}
    expressions = {rule.name: rule.expression for rule in profile.rules}
    lines = [
        _line(verdict, rules.get(verdict.name), expressions.get(verdict.name, ""))
        for verdict in found.dimensions
    ]
    written: dict[str, Any] = {
        "image": str(path),
        "profile": f"{profile.name}@{profile.version}",
        "passed": found.passed,
        "score": found.score,
        "width": found.width,
        "height": found.height,
        "dimensions": lines,
    }
    return written | ({"shapes": _shapes(content, desk, profile)} if shapes else {})


def _line(verdict: DimensionVerdict, rule: DimensionRule | None, expression: str) -> dict[str, Any]:
    limit = rule.mapping.raw_at(rule.threshold) if rule is not None else None
    return {
        "name": verdict.name,
        "tier": verdict.tier,
        "status": verdict.status.value,
        "raw": verdict.raw,
        "unit": DIMENSIONS[verdict.name].unit if verdict.name in DIMENSIONS else "",
        "limit": None if limit is None else round(limit, _DIGITS),
        "limit_is": _sense(rule.mapping) if rule is not None else "",
        "score": verdict.score,
        "threshold": verdict.threshold,
        "required": verdict.required,
        "passed": verdict.passed,
        "reason": _reason(verdict, expression),
        "evidence": dict(verdict.evidence),
    }


def _sense(mapping: ScoreMapping) -> str:
    if mapping.exactly is not None:
        return "exactly"
    return "at least" if mapping.rises else "at most"


def _reason(verdict: DimensionVerdict, expression: str) -> str:
    if verdict.passed:
        return ""
    if verdict.status is MeasureStatus.ok and "reason" not in verdict.evidence:
        return f"not true: {expression}" if expression else "beyond the limit"
    reason = str(verdict.evidence.get("reason", verdict.status.value)).replace("_", " ")
    remedy = verdict.evidence.get("remedy")
    return f"{reason} ({remedy})" if remedy else reason


def _shapes(content: bytes, desk: Desk, profile: Profile) -> list[dict[str, Any]]:
    try:
        picture = decode(content)
    except NotDecodable:
        return []
    wanted = [DIMENSIONS[name] for name in DIMENSIONS if name in profile.wanted()]
    analysis = ImageAnalysis(picture, desk.models, frozenset(dimension.follows for dimension in wanted))
    names = {dimension.name for dimension in wanted}
    shapes = _face_shapes(analysis) if names & _OF_FACES else []
    return shapes + (_subject_shapes(analysis, picture) if names & _OF_SUBJECTS else [])


def _face_shapes(analysis: ImageAnalysis) -> list[dict[str, Any]]:
    shapes: list[dict[str, Any]] = [
        {
            "kind": "box",
            "label": f"face {box.confidence}",
            "points": [
                [round(box.x, 1), round(box.y, 1)],
                [round(box.x + box.width, 1), round(box.y + box.height, 1)],
            ],
        }
        for box in analysis.faces
    ]
    if analysis.mesh is not None:
        points = [[round(float(x), 1), round(float(y), 1)] for x, y in analysis.mesh.points]
        shapes.append({"kind": "points", "label": "landmarks", "points": points})
    return shapes


def _subject_shapes(analysis: ImageAnalysis, picture: Picture) -> list[dict[str, Any]]:
    subject = analysis.isolation.subject
    if subject is None:
        return []
    contours, _ = cv2.findContours(subject.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    scale = np.array([picture.width / subject.shape[1], picture.height / subject.shape[0]])
    return [
        {"kind": "outline", "label": "subject", "points": np.round((contour[:, 0] + 0.5) * scale, 1).tolist()}
        for contour in contours
    ]
