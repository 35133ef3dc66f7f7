"""The portrait, and dimensions of a headshot taken of it."""

from __future__ import annotations

import cv2
import numpy as np

from services.scorer.domain.measures import Measurement
from services.scorer.engine.measure import measure_bytes
from services.scorer.vision.model_set import Models
from tests.unit.scorer.photographs import BGR, png, portrait
from winnow.contracts.values import MeasureStatus

PORTRAIT = portrait()
REFERENCE = png(PORTRAIT)


def take(models: Models, name: str, picture: BGR, reference: bytes | None = REFERENCE) -> Measurement:
    (taken,) = measure_bytes(
        png(np.ascontiguousarray(picture)), frozenset({name}), models, reference
    ).measurements
    return taken


def raw(models: Models, name: str, picture: BGR) -> float:
    taken = take(models, name, picture)
    assert taken.status is MeasureStatus.ok, taken
    assert taken.raw is not None
    return taken.raw


def covered_eyes(picture: BGR) -> BGR:
    covered = picture.copy()
    cv2.rectangle(covered, (180, 88), (268, 118), (40, 40, 40), -1)
    return covered
