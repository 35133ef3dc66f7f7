"""Dimensions of an advertisement: the ordered words and colours, and text that can be read where it is shown."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from services.scorer.dimensions.dimension import Dimension, failed, not_applicable, ok, table
from services.scorer.domain.brand_words import plain
from services.scorer.domain.copy_match import copy_match, nearest_stretch
from services.scorer.domain.measures import Evidence, Measurement
from services.scorer.vision.colour import Floats, ciede2000, lab_of
from services.scorer.vision.image_analysis import ImageAnalysis
from services.scorer.vision.model_set import SALIENCY, TEXT_DETECTOR, TEXT_READER
from services.scorer.vision.ocr import TextLine
from services.scorer.vision.text_layout import covered, inside, legibility, safe_area

COPY_DISTANCE: Final = "copy_distance"
COPY_EXTRA: Final = "copy_extra"
TEXT_AREA: Final = "text_area"
TEXT_SAFE_ZONE: Final = "text_safe_zone"
SUBJECT_SAFE_ZONE: Final = "subject_safe_zone"
TEXT_LEGIBILITY: Final = "text_legibility"
COPY_LEGIBILITY: Final = "copy_legibility"
BRAND_COLOUR: Final = "brand_colour"

_READ_MIN: Final = 0.5
"""Less sure readings are of shapes; more is asked where words are unwanted, since here words are expected."""
_SURE_MIN: Final = 0.8
_SURE_LETTERS_MIN: Final = 3
_OF_COPY_SHARE: Final = 0.5
_COLOUR_SIDE_PX: Final = 256
_COLOUR_SHARE: Final = 0.002
"""The share of the frame in which a brand colour must be seen: a small logo's."""
_SALIENT_MIN: Final = 0.5


def _read(analysis: ImageAnalysis) -> list[TextLine]:
    return [line for line in analysis.lines if line.confidence >= _READ_MIN and plain(line.text)]


def _no_copy(analysis: ImageAnalysis) -> str | None:
    return None if plain(analysis.wording.copy) else "no_copy"


def _copy(name: str, analysis: ImageAnalysis) -> Measurement:
    lines = _read(analysis)
    match = copy_match(analysis.wording.copy, " ".join(line.text for line in lines))
    if match is None:
        return not_applicable(name, "no_copy")
    evidence: Evidence = {
        "lines_asked": len(match.found),
        "lines_found": sum(match.found),
        "lines_read": len(lines),
        "confidence": round(min((line.confidence for line in lines), default=0.0), 4),
    }
    return ok(name, round(match.distance if name == COPY_DISTANCE else match.extra, 4), evidence)


def _text_area(analysis: ImageAnalysis) -> Measurement:
    lines = _read(analysis)
    share = float(covered(lines, analysis.picture.height, analysis.picture.width).mean())
    return ok(TEXT_AREA, round(share, 4), {"lines": len(lines)})


def _text_safe_zone(analysis: ImageAnalysis) -> Measurement:
    lines = [line for line in _read(analysis) if _is_sure(line) or _is_of_copy(line, analysis.wording.copy)]
    if not lines:
        return not_applicable(TEXT_SAFE_ZONE, "no_text")
    area = safe_area(analysis.picture.width, analysis.picture.height)
    text = covered(lines, analysis.picture.height, analysis.picture.width)
    outside = text & ~inside(area, *text.shape)
    share = float(outside.sum()) / max(1, int(text.sum()))
    return ok(TEXT_SAFE_ZONE, round(share, 4), {"format": area.format, "lines": len(lines)})


def _subject_safe_zone(analysis: ImageAnalysis) -> Measurement:
    standing_out = analysis.salient
    subject = np.where(standing_out >= _SALIENT_MIN, standing_out, 0)
    weight = float(subject.sum())
    area = safe_area(analysis.picture.width, analysis.picture.height)
    inside_weight = float(subject[inside(area, *subject.shape)].sum())
    evidence: Evidence = {"format": area.format, "subject_share": round(float((subject > 0).mean()), 4)}
    if weight == 0:
        return failed(SUBJECT_SAFE_ZONE, "no_subject", evidence)
    return ok(SUBJECT_SAFE_ZONE, round(1 - inside_weight / weight, 4), evidence)


def _copy_legibility(analysis: ImageAnalysis) -> Measurement:
    """Measure the least legible line of the copy."""
    copy_lines = [line for line in _read(analysis) if _is_of_copy(line, analysis.wording.copy)]
    return _least_legible(COPY_LEGIBILITY, analysis, copy_lines)


def _text_legibility(analysis: ImageAnalysis) -> Measurement:
    """Measure the least legible line of the copy or, without a copy, of all lines that were read surely."""
    lines = _read(analysis)
    copy_lines = [line for line in lines if _is_of_copy(line, analysis.wording.copy)]
    return _least_legible(TEXT_LEGIBILITY, analysis, copy_lines or [line for line in lines if _is_sure(line)])


def _least_legible(name: str, analysis: ImageAnalysis, judged: list[TextLine]) -> Measurement:
    if not judged:
        return not_applicable(name, "no_text")
    worst = min((legibility(analysis.picture.rgb, line) for line in judged), key=lambda found: found.margin)
    evidence: Evidence = {
        "contrast": round(worst.contrast, 3),
        "height_px": round(worst.height_px, 2),
        "lines": len(judged),
    }
    return ok(name, round(worst.margin, 4), evidence)


def _brand_colour(analysis: ImageAnalysis) -> Measurement:
    """Measure, for the brand colour that is missed most, how far the nearest 0.2 % of the frame lies from it."""
    wanted = analysis.wording.brand_colours
    if not wanted:
        return not_applicable(BRAND_COLOUR, "no_brand_colours")
    scale = min(1.0, _COLOUR_SIDE_PX / max(analysis.picture.width, analysis.picture.height))
    size = (max(1, round(analysis.picture.width * scale)), max(1, round(analysis.picture.height * scale)))
    seen = lab_of(
        cv2.resize(analysis.picture.rgb, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    )
    found = {colour: float(np.quantile(ciede2000(seen, _lab(colour)), _COLOUR_SHARE)) for colour in wanted}
    missed = max(found, key=lambda colour: found[colour])
    return ok(BRAND_COLOUR, round(found[missed], 3), {"colour": missed, "colours": len(found)})


def _lab(colour: str) -> Floats:
    lab: Floats = lab_of(np.frombuffer(bytes.fromhex(colour[1:]), np.uint8).reshape(1, 1, 3))[0, 0]
    return lab


def _is_sure(line: TextLine) -> bool:
    return line.confidence >= _SURE_MIN and len(plain(line.text)) >= _SURE_LETTERS_MIN


def _is_of_copy(line: TextLine, copy: str) -> bool:
    letters, wanted = plain(line.text), plain(copy)
    return bool(wanted) and nearest_stretch(letters, wanted)[0] <= _OF_COPY_SHARE * len(letters)


_READER: Final = (TEXT_DETECTOR, TEXT_READER)

CREATIVE: Final = table(
    Dimension(
        COPY_DISTANCE,
        2,
        "edit distance from the ordered copy over its letters",
        lambda analysis: _copy(COPY_DISTANCE, analysis),
        _READER,
        no_question=_no_copy,
    ),
    Dimension(
        COPY_EXTRA,
        2,
        "letters beyond the copy over its letters",
        lambda analysis: _copy(COPY_EXTRA, analysis),
        _READER,
        no_question=_no_copy,
    ),
    Dimension(TEXT_AREA, 2, "share of the frame under lines of text", _text_area, _READER),
    Dimension(TEXT_SAFE_ZONE, 2, "share of the text outside the safe area", _text_safe_zone, _READER),
    Dimension(
        TEXT_LEGIBILITY, 2, "multiple of the weaker limit of contrast and height", _text_legibility, _READER
    ),
    Dimension(
        COPY_LEGIBILITY,
        2,
        "multiple of the weaker limit of contrast and height",
        _copy_legibility,
        _READER,
        no_question=_no_copy,
    ),
    Dimension(BRAND_COLOUR, 2, "CIEDE2000 of the nearest 0.2 % of the frame", _brand_colour),
    Dimension(
        SUBJECT_SAFE_ZONE,
        2,
        "share of what stands out outside the safe area",
        _subject_safe_zone,
        (SALIENCY,),
    ),
)
