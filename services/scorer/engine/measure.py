"""Measures one picture: decodes once, then takes the wanted dimensions in the order of the register."""

from __future__ import annotations

import cv2
import numpy as np

from services.scorer.dimensions import DIMENSIONS
from services.scorer.dimensions.dimension import failed, not_applicable, unavailable
from services.scorer.domain.measures import DECODABLE, Measured, Measurement, could_not_measure
from services.scorer.domain.references import NO_WORDING, Wording
from services.scorer.engine.references import ReferenceAnalyses
from services.scorer.vision.decode import NotDecodable, decode
from services.scorer.vision.image_analysis import ImageAnalysis
from services.scorer.vision.model_set import Models
from winnow.contracts.values import MeasureStatus


def measure_bytes(
    content: bytes,
    wanted: frozenset[str],
    models: Models,
    reference: bytes | None = None,
    prompt: str = "",
    *,
    references: ReferenceAnalyses | None = None,
    wording: Wording = NO_WORDING,
) -> Measured:
    """Measure an encoded picture; never raises for any content.

    ``reference`` is the picture of the same person that likeness is measured against. ``prompt`` is what was
    asked for, ``wording`` the copy and colours that the picture is to show. ``references`` keeps analyses of
    references between calls. What cannot be decoded scores 0 as ``decodable`` and ``failure_to_assess``
    everywhere else.
    """
    known = [name for name in DIMENSIONS if name in wanted]
    try:
        picture = decode(content, luminance_only=not any(DIMENSIONS[name].sees_colour for name in known))
    except NotDecodable as error:
        return _not_decodable(wanted, error.reason)
    except (cv2.error, MemoryError):
        return _not_decodable(wanted, "decoder_failed")
    regions = frozenset(DIMENSIONS[name].follows for name in known)
    analyses = references or ReferenceAnalyses(models)
    reference_analysis = None if reference is None else analyses.analyse(reference, regions)
    analysis = ImageAnalysis(picture, models, regions, reference_analysis, prompt, wording)
    measurements = [_measure(name, analysis) for name in known]
    measurements += [unavailable(name, "no_measure") for name in sorted(wanted - set(DIMENSIONS))]
    return Measured(tuple(measurements), picture.width, picture.height)


def _not_decodable(wanted: frozenset[str], reason: str) -> Measured:
    unmeasured = could_not_measure(wanted - {DECODABLE}, "not_decodable").measurements
    if DECODABLE not in wanted:
        return Measured(unmeasured)
    return Measured((Measurement(DECODABLE, MeasureStatus.ok, 0.0, {"reason": reason}), *unmeasured))


def _measure(name: str, analysis: ImageAnalysis) -> Measurement:
    no_question = DIMENSIONS[name].no_question(analysis)
    if no_question is not None:
        return not_applicable(name, no_question)
    for model in DIMENSIONS[name].needs:
        remedy = analysis.models.lacks(model)
        if remedy:
            return unavailable(name, "model_missing", {"model": model, "remedy": remedy})
    try:
        return DIMENSIONS[name].measure(analysis)
    except (
        NotDecodable,
        cv2.error,
        ValueError,
        ArithmeticError,
        MemoryError,
        np.linalg.LinAlgError,
    ) as error:
        return failed(name, "measure_failed", {"error": type(error).__name__})
