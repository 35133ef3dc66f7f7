"""Analyses of reference pictures, kept so that the candidates of a chunk do not decode the same one again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Final

import cv2
import numpy as np

from services.scorer.vision.decode import NotDecodable, Picture, decode
from services.scorer.vision.image_analysis import ImageAnalysis, Region
from services.scorer.vision.model_set import Models

PIXELS_KEPT: Final = 40_000_000
"""Pixels of all analyses that are kept: at 7 bytes a pixel (grey, and both orders of colour) 280 MB a process."""

_Key = tuple[bytes, frozenset[Region]]


class ReferenceAnalyses:
    """The last references by the hash of their bytes. Belongs to one thread."""

    def __init__(self, models: Models, pixels_kept: int = PIXELS_KEPT) -> None:
        """Start without any."""
        self._models = models
        self._pixels_kept = pixels_kept
        self._analyses: OrderedDict[_Key, ImageAnalysis] = OrderedDict()
        self.decoded_count = 0

    def analyse(self, content: bytes, regions: frozenset[Region]) -> ImageAnalysis:
        """Analyse an encoded reference; one that does not decode shows no face and so fails what needs it."""
        key = (hashlib.sha256(content).digest(), regions)
        analysis = self._analyses.get(key)
        if analysis is None:
            analysis = self._analyses[key] = ImageAnalysis(_decoded(content), self._models, regions)
            self.decoded_count += 1
        self._analyses.move_to_end(key)
        while len(self._analyses) > 1 and self._pixels() > self._pixels_kept:
            self._analyses.popitem(last=False)
        return analysis

    def _pixels(self) -> int:
        return sum(analysis.picture.width * analysis.picture.height for analysis in self._analyses.values())


def _decoded(content: bytes) -> Picture:
    try:
        return decode(content)
    except (NotDecodable, cv2.error, MemoryError):
        nothing = np.zeros((1, 1, 3), np.uint8)
        return Picture(nothing[:, :, 0], lambda: nothing, "")
