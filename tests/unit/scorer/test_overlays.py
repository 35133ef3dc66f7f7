"""Marks laid over pictures, cards sent in their place, and shadows, on drawings and photographs with known truth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from services.scorer.domain.measures import Measurement
from services.scorer.engine.measure import measure_bytes
from services.scorer.vision.overlays import flat_share, repetition
from tests.unit.scorer.loaded import loaded_models
from tests.unit.scorer.photographs import BGR, photograph, png
from winnow.contracts.values import MeasureStatus

CALM = ("camera.png", "chelsea.png", "coffee.png", "flower.jpg", "astronaut.png", "rocket.jpg")
TEXTURES = ("brick.png", "grass.png", "gravel.png")


def take(picture: BGR, name: str) -> Measurement:
    return measure_bytes(png(picture), frozenset({name}), loaded_models()).by_name()[name]


def grey(picture: BGR) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)


def marked(picture: BGR, opacity: float, angle_deg: float = 30) -> BGR:
    """Lay PREVIEW over the picture in white, again and again, turned."""
    height, width = picture.shape[:2]
    side, across, down = (round(share * min(height, width)) for share in (2.4, 0.28, 0.18))
    mark = np.zeros((side, side), np.uint8)
    scale = 0.75 * across / cv2.getTextSize("PREVIEW", cv2.FONT_HERSHEY_DUPLEX, 1, 2)[0][0]
    for row, y in enumerate(range(0, side, down)):
        for x in range(-(across // 2) * (row % 2), side, across):
            thick = max(1, round(2 * scale))
            cv2.putText(mark, "PREVIEW", (x, y), cv2.FONT_HERSHEY_DUPLEX, scale, 255, thick, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), angle_deg, 1)
    top, left = (side - height) // 2, (side - width) // 2
    turned = cv2.warpAffine(mark, turn, (side, side))[top : top + height, left : left + width]
    share = (turned / 255 * opacity)[..., None]
    return (picture * (1 - share) + 255 * share).round().astype(np.uint8)


@pytest.mark.parametrize("name", CALM)
def test_a_repeated_mark_is_told_from_a_clean_photograph(name: str) -> None:
    picture = photograph(name)
    clean, spoilt = take(picture, "repeated_mark").raw, take(marked(picture, 0.3), "repeated_mark").raw
    assert clean is not None
    assert spoilt is not None
    assert clean < 0.155
    assert spoilt > 0.2


def test_the_stronger_the_mark_the_more_alike_the_detail() -> None:
    found = [
        repetition(grey(marked(photograph("coffee.png"), opacity))).likeness
        for opacity in (0, 0.15, 0.3, 0.6)
    ]
    likenesses = [likeness for likeness in found if likeness is not None]
    assert found == sorted(likenesses)


@pytest.mark.parametrize("name", TEXTURES)
def test_of_texture_throughout_nothing_is_said(name: str) -> None:
    found = take(photograph(name), "repeated_mark")
    assert (found.status, found.evidence["reason"]) == (MeasureStatus.not_applicable, "no_calm_part")


def test_the_step_is_that_of_the_mark() -> None:
    picture = np.full((256, 256, 3), 128, np.uint8)
    for y in range(20, 256, 64):
        for x in range(20, 256, 64):
            cv2.circle(picture, (x, y), 4, (160, 160, 160), -1)
    found = repetition(grey(picture))
    assert found.step * 256 == pytest.approx(64, abs=2) or found.step * 256 == pytest.approx(90.5, abs=2)
    assert found.likeness is not None
    assert found.likeness > 0.8


def test_a_picture_of_one_colour_has_no_mark() -> None:
    assert repetition(np.full((64, 64), 7, np.uint8)).likeness is None


def test_a_card_with_a_notice_is_flat_and_photographs_are_not() -> None:
    card = np.full((512, 512, 3), 30, np.uint8)
    cv2.putText(
        card, "Content blocked", (60, 260), cv2.FONT_HERSHEY_SIMPLEX, 1.4, (240, 240, 240), 2, cv2.LINE_AA
    )
    assert float(take(card, "placeholder").raw or 0) > 0.98
    assert all(float(take(photograph(name), "placeholder").raw or 1) < 0.5 for name in (*CALM, *TEXTURES))


def test_flat_share_counts_the_two_commonest_tones() -> None:
    picture = np.arange(256, dtype=np.uint8).repeat(256).reshape(256, 256).copy()
    picture[:128], picture[128:192] = 10, 200
    assert flat_share(picture) == pytest.approx(0.75 + 0.0, abs=0.03)


def ball(shade: float, soft_px: float = 12) -> BGR:
    """Draw a ball on a light ground with a shadow that leaves ``1 - shade`` of the light."""
    picture = np.full((400, 400, 3), 225, np.float32)
    cast = np.zeros((400, 400), np.float32)
    cv2.ellipse(cast, (200, 290), (120, 34), 0, 0, 360, 1.0, -1)
    picture *= 1 - shade * cv2.GaussianBlur(cast, (0, 0), soft_px)[..., None]
    drawn = picture.round().astype(np.uint8)
    cv2.circle(drawn, (200, 210), 80, (40, 60, 190), -1, cv2.LINE_AA)
    return drawn


def test_the_shadow_is_as_deep_as_it_was_drawn() -> None:
    none, light, deep = (take(ball(shade), "shadow") for shade in (0, 0.2, 0.45))
    assert none.raw == 0
    assert light.raw is not None
    assert deep.raw is not None
    # 225 grey is L* 89.6; a fifth less of the value is L* 73.7, 45 % less L* 52.3. Blur takes a part of it.
    assert 9 < light.raw < 17
    assert 22 < deep.raw < 38
    assert float(deep.evidence["area_share"]) > 0.02
