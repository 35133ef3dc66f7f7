"""Text that a picture shows, for rules on unwanted words, brands and requested copy.

Small print is missed (words of about 10 pixels were not read), and so is text that runs upward or upside down. What is read may be off by a letter (a motorcycle's
YAMAHA came out as YAMARA), so compare with a word list that forgives one.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from services.scorer.dimensions.dimension import Dimension, ok, table
from services.scorer.domain.measures import TEXT, Evidence, Measurement
from services.scorer.vision.image_analysis import ImageAnalysis
from services.scorer.vision.model_set import TEXT_DETECTOR, TEXT_READER

_CONFIDENCE_MIN: Final = 0.8
_LETTERS_MIN: Final = 3
"""Shorter readings are as often a round shape as a word: an 8 on a cup of coffee, a 0 on a cat."""
_TEXT_SIGNS_MAX: Final = 400


def _text(analysis: ImageAnalysis) -> Measurement:
    """Count the words that are read surely; their area counts the whole line they stand in."""
    lines = [
        line
        for line in analysis.lines
        if line.confidence >= _CONFIDENCE_MIN and sum(sign.isalnum() for sign in line.text) >= _LETTERS_MIN
    ]
    words = [word for line in lines for word in line.text.split()]
    covered = np.zeros(analysis.picture.grey.shape, np.uint8)
    for line in lines:
        cv2.fillConvexPoly(covered, line.corners.round().astype(np.int32), (1,))
    evidence: Evidence = {
        "words": " ".join(words)[:_TEXT_SIGNS_MAX],
        "area_share": round(float(covered.mean()), 4),
        "lines": len(lines),
        "confidence": round(min((line.confidence for line in lines), default=0.0), 4),
    }
    return ok(TEXT, float(len(words)), evidence)


TEXT_FAMILY: Final = table(Dimension(TEXT, 2, "words", _text, (TEXT_DETECTOR, TEXT_READER)))
