"""Pictures that are none, and gradients that broke into bands; severities known, on real photographs."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from services.scorer.domain.measures import BANDING, CONTENT
from services.scorer.engine.measure import measure_bytes
from services.scorer.vision import tones
from tests.support.opencv import decoded, pixels
from tests.unit.scorer.loaded import loaded_models
from tests.unit.scorer.photographs import BGR, blurred, exposed, jpeg, noisy, photograph, png

PHOTOGRAPHS = (
    "astronaut.png",
    "camera.png",
    "chelsea.png",
    "china.jpg",
    "coffee.png",
    "flower.jpg",
    "moon.png",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)


def auc(high: list[float], low: list[float]) -> float:
    """Return the chance that one of the first reads higher than one of the second."""
    return sum(1.0 if a > b else 0.5 if a == b else 0.0 for a in high for b in low) / len(high) / len(low)


def grey(picture: BGR) -> BGR:
    return pixels(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_BGR2GRAY))


def compressed(picture: BGR, quality: int) -> BGR:
    return decoded(jpeg(picture, quality))


def washed_out(picture: BGR, share: float) -> BGR:
    return blurred(picture, share * max(picture.shape))


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_content_is_seen_in_photographs_also_dark_noisy_or_compressed(name: str) -> None:
    photo = photograph(name)
    for picture in (photo, exposed(photo, -3), noisy(photo, 8), compressed(photo, 60)):
        found = tones.content(grey(picture))
        assert found.kind == "picture", found
        assert found.margin > 1.3


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (np.zeros_like, "one_colour"),
        (lambda p: np.full_like(p, 255), "one_colour"),
        (lambda p: np.full_like(p, 128), "one_colour"),
        (lambda p: compressed(np.full_like(p, 90), 70), "one_colour"),
        (lambda p: noisy(np.full_like(p, 128), 4), "one_colour"),
        (lambda p: washed_out(p, 0.02), "blurred_out"),
        (lambda p: compressed(washed_out(p, 0.03), 85), "blurred_out"),
        (lambda p: washed_out(p, 0.03), "blurred_out"),
    ],
    ids=["black", "white", "grey", "compressed", "noise", "blur 2 %", "blur 3 % compressed", "blur 3 %"],
)
def test_content_is_missed_in_what_a_provider_sends_instead(make: Callable[[BGR], BGR], kind: str) -> None:
    for name in PHOTOGRAPHS:
        found = tones.content(grey(make(photograph(name))))
        assert found.margin < 1, (name, found)
        assert found.kind in {kind, "one_colour"}


def test_content_falls_as_blur_grows() -> None:
    for name in ("astronaut.png", "motorcycle_left.png", "coffee.png"):
        margins = [
            tones.content(grey(washed_out(photograph(name), share))).margin
            for share in (0.002, 0.005, 0.01, 0.02)
        ]
        assert margins == sorted(margins, reverse=True)


def sky(levels: int, *, side: int = 512) -> BGR:
    """Draw a slow diagonal gradient, as of a sky, cut to so many levels."""
    y, x = np.mgrid[0:side, 0:side] / side
    tone = 60 + 170 * (0.6 * y + 0.4 * x)
    step = 256 / levels
    return np.repeat(
        ((np.floor(tone / step) + 0.5) * step).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2
    )


def cut(picture: BGR, levels: int) -> BGR:
    step = 256 / levels
    return ((np.floor(blurred(picture, 1.2) / step) + 0.5) * step).clip(0, 255).astype(np.uint8)


def test_banding_of_a_gradient_grows_as_its_levels_get_fewer() -> None:
    shares = [tones.banding(grey(sky(levels))).step_share for levels in (256, 64, 32, 16)]
    assert shares[0] < 0.3
    assert shares == sorted(shares)
    assert shares[3] == 1.0


def test_banding_separates_smooth_pictures_of_16_levels_from_clean_ones() -> None:
    clean = [
        tones.banding(grey(compressed(photograph(name), quality))).step_share
        for name in PHOTOGRAPHS
        for quality in (75, 85, 95)
    ]
    banded = [tones.banding(grey(cut(photograph(name), 16))) for name in PHOTOGRAPHS]
    assert max(clean) < 0.62
    taken = [banding.step_share for banding in banded if banding.step_share]
    assert len(taken) >= 8
    assert auc(taken, clean) == 1.0
    compressed_later = [tones.banding(grey(compressed(cut(photograph(n), 16), 90))) for n in PHOTOGRAPHS]
    assert auc([banding.step_share for banding in compressed_later if banding.step_share], clean) >= 0.97


def test_banding_says_nothing_without_slow_slopes() -> None:
    found = tones.banding(np.full((300, 400), 77, np.uint8))
    assert (found.step_share, found.slopes_share) == (0.0, 0.0)


def test_dimensions_carry_value_and_evidence() -> None:
    blank = measure_bytes(
        png(np.full((256, 256, 3), 30, np.uint8)), frozenset({CONTENT, BANDING}), loaded_models()
    ).by_name()
    assert blank[CONTENT].raw == 0.0
    assert blank[CONTENT].evidence["kind"] == "one_colour"
    assert blank[BANDING].raw == 0.0
    banded = measure_bytes(png(sky(16)), frozenset({CONTENT, BANDING}), loaded_models()).by_name()
    assert banded[BANDING].raw == 1.0
