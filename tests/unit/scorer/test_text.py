"""Text: what was written is read; what is no text is not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from services.scorer.domain.measures import TEXT, Measurement
from services.scorer.engine.measure import measure_bytes
from services.scorer.vision.model_set import Models
from tests.unit.scorer.photographs import BGR, photograph, png


def take(models: Models, picture: BGR) -> Measurement:
    (taken,) = measure_bytes(png(picture), frozenset({TEXT}), models).measurements
    return taken


def written(picture: BGR, text: str, at: tuple[int, int], scale: float = 1.5) -> BGR:
    copy = picture.copy()
    cv2.putText(copy, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, (20, 20, 160), 3, cv2.LINE_AA)
    return copy


def test_written_words_are_read_and_located(models: Models) -> None:
    page = np.full((300, 700, 3), 235, np.uint8)
    taken = take(models, written(written(page, "ACME COFFEE", (60, 100)), "OPEN DAILY", (60, 220)))
    assert "".join(str(taken.evidence["words"]).upper().split()) == "ACMECOFFEEOPENDAILY"
    assert 0.05 < float(taken.evidence["area_share"]) < 0.45
    assert taken.raw == 4


def test_a_banner_in_a_photograph_is_read(models: Models) -> None:
    taken = take(models, written(photograph("chelsea.png"), "SALE TODAY", (40, 60), 1.3))
    assert "SALE" in str(taken.evidence["words"]).upper()


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "astronaut.png", "flower.jpg"])
def test_a_photograph_without_text_reads_none(models: Models, name: str) -> None:
    assert take(models, photograph(name)).raw == 0


def test_a_line_that_runs_down_is_read_and_one_that_runs_up_is_missed(models: Models) -> None:
    page = written(np.full((200, 600, 3), 235, np.uint8), "GALLERY", (120, 110), 2)
    assert take(models, np.ascontiguousarray(np.rot90(page, 3))).evidence["words"] == "GALLERY"
    assert take(models, np.ascontiguousarray(np.rot90(page, 1))).raw == 0
