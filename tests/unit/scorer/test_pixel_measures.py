"""Pixel measures on photographs: sharpness, blockiness, noise, exposure and perceptual hash."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from services.scorer.vision import classic
from services.scorer.vision.exposure import Exposure, exposure, white_ground_share
from tests.support.opencv import decoded, pixels
from tests.unit.scorer.judged_pictures import GENERAL, PORTRAIT, grey_of, noise_of
from tests.unit.scorer.photographs import BGR, blurred, exposed, jpeg, moved, noisy, photograph, upscaled


def auc(clean: list[float], degraded: list[float]) -> float:
    """Return the chance that a clean photograph reads higher than a degraded one."""
    wins = [1.0 if a > b else 0.5 if a == b else 0.0 for a in clean for b in degraded]
    return sum(wins) / len(wins)


@pytest.mark.parametrize(
    ("degrade", "at_least"),
    [
        (lambda p: blurred(p, 1.5), 1.0),
        (lambda p: blurred(p, 2), 1.0),
        (lambda p: moved(p, 11), 0.95),
        (lambda p: moved(p, 15), 0.95),
        (lambda p: upscaled(p, 3), 1.0),
        (lambda p: noisy(blurred(p, 2), 8), 0.95),
    ],
    ids=["gaussian 1.5", "gaussian 2", "motion 11", "motion 15", "upscaled 3", "blur 2 and noise 8"],
)
def test_sharpness_separates_degraded_from_clean_photographs(
    degrade: Callable[[BGR], BGR], at_least: float
) -> None:
    def read(picture: BGR) -> float:
        grey = grey_of(picture)
        return classic.sharpness(grey, noise_of(grey).flat).ratio

    photographs = [photograph(name) for name in (*GENERAL, "astronaut.png", "rocket.jpg")]
    assert (
        auc([read(photo) for photo in photographs], [read(degrade(photo)) for photo in photographs])
        >= at_least
    )


def test_blockiness_rises_with_compression_and_survives_cropping() -> None:
    def read(content: bytes, crop: int = 0) -> float:
        grey = decoded(content, cv2.IMREAD_GRAYSCALE)
        return classic.blockiness(np.ascontiguousarray(grey[crop:, crop:]))

    readings = [read(jpeg(PORTRAIT, quality)) for quality in (95, 50, 20, 10)]
    assert readings == sorted(readings)
    assert read(jpeg(PORTRAIT, 20), crop=3) == pytest.approx(readings[2], rel=0.05)
    assert classic.blockiness(np.full((64, 64), 128, np.uint8)) == 1.0


@pytest.mark.parametrize("name", [*GENERAL, "brick.png", "grass.png", "gravel.png"])
def test_blockiness_tells_quality_30_from_75_whatever_is_shown(name: str) -> None:
    low, middle = (
        classic.blockiness(decoded(jpeg(photograph(name), q), cv2.IMREAD_GRAYSCALE)) for q in (30, 75)
    )
    assert middle < 1.4
    assert low > 1.6


def test_noise_estimate_grows_with_the_noise() -> None:
    readings = [noise_of(grey_of(noisy(PORTRAIT, s))) for s in (0, 5, 10, 20)]
    for kind in ("fine", "coarse", "sigma"):
        values = [getattr(reading, kind) for reading in readings]
        assert values == sorted(values)
        assert values[2] / values[1] == pytest.approx(2, rel=0.3)


@pytest.mark.parametrize("name", ["grass.png", "gravel.png", "brick.png"])
def test_texture_without_a_flat_part_is_told_from_noise(name: str) -> None:
    clean, bad = grey_of(photograph(name)), grey_of(noisy(photograph(name), 10))
    assert noise_of(clean).sigma < 3.2
    assert noise_of(bad).sigma > 4.1


def test_noise_that_went_through_jpeg_is_seen_in_blotches() -> None:
    noise = noise_of(decoded(jpeg(noisy(PORTRAIT, 10), 75), cv2.IMREAD_GRAYSCALE))
    assert noise.fine < 0.5
    assert noise.sigma > 4.1
    assert noise_of(decoded(jpeg(PORTRAIT, 75), cv2.IMREAD_GRAYSCALE)).sigma < 1.5


def on_white(picture: BGR, share: float) -> BGR:
    """Lay a picture on a white ground with ``share`` of the frame white."""
    edge = round(picture.shape[0] * ((1 / (1 - share)) ** 0.5 - 1) / 2)
    return pixels(
        cv2.copyMakeBorder(picture, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    )


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_white_ground_is_no_overexposure_and_what_stands_on_it_may_be(share: float) -> None:
    def seen(picture: BGR) -> Exposure:
        grey = grey_of(on_white(picture, share))
        return exposure(grey, bright_share_max=0.4, dark_share_max=0.75, small=classic.small_copy(grey))

    assert seen(PORTRAIT).overrun < 0.5
    assert seen(exposed(photograph("gravel.png"), 3)).overrun > 1
    assert white_ground_share(grey_of(on_white(PORTRAIT, share))) == pytest.approx(share, abs=0.02)
    assert white_ground_share(grey_of(exposed(PORTRAIT, 3))) == 0


@pytest.mark.parametrize(
    ("alter", "near"),
    [
        (lambda p: decoded(jpeg(p, 60)), True),
        (lambda p: exposed(p, 1), True),
        (lambda p: p[10:-10, 10:-10], True),
        (lambda p: p[:, ::-1], False),
        (lambda _: photograph("coffee.png"), False),
    ],
    ids=["recompressed", "brighter", "cropped by 2 percent", "mirrored", "another"],
)
def test_perceptual_hash_tells_near_duplicates(alter: Callable[[BGR], BGR], near: bool) -> None:
    def read(picture: BGR) -> int:
        return int(classic.perceptual_hash(grey_of(np.ascontiguousarray(picture))), 16)

    distance = (read(PORTRAIT) ^ read(alter(PORTRAIT))).bit_count()
    assert (distance <= 10) is near
